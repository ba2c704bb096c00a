"""Stage 3 for encoders that generate nothing, such as a CLIP folder: rollouts are random directions around embeddings.

There is no summary to explore with, so a policy (:mod:`elva.policy`) draws G directions around every embedding. The
paper applies its stage 3 to other retrievers (PUMA, MM-Embed) without saying what is sampled there: this is our answer.
Three terms are minimised: the clipped policy loss on the log-densities of the draws, the divergence from the encoder as
it was, in closed form, and, by option, the reward's own gradient through the draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from elva.config import Reinforcement
from elva.data import Pool
from elva.feedback import give_feedback
from elva.grpo import VarianceWatch, clipped_loss
from elva.policy import Gaussian, Policy, VonMisesFisher
from elva.prompts import Input
from elva.rollouts import seeded
from elva.sampler import Draw, Sampler, answers, embed_pools
from mrbench.arrays import Embeddings
from mrbench.errors import ModelError
from mrbench.models.dual_encoder import DualEncoder


def embed(encoder: DualEncoder, inputs: Sequence[Input]) -> Tensor:
    """Return unit embeddings under gradient, shape ``(len(inputs), dimension)``; two parts of an input are added."""
    total = torch.zeros(len(inputs), encoder.dimension, device=encoder.device)
    texts = [(row, item.text) for row, item in enumerate(inputs) if item.text is not None]
    images = [(row, item.image) for row, item in enumerate(inputs) if item.image is not None]
    if texts:
        rows = torch.tensor([row for row, _ in texts], device=total.device)
        total = total.index_add(0, rows, encoder.text_features([text for _, text in texts]).float())
    if images:
        rows = torch.tensor([row for row, _ in images], device=total.device)
        total = total.index_add(0, rows, encoder.image_features([image for _, image in images]).float())
    return normalize(total, dim=-1)


@torch.no_grad()
def embed_all(encoder: DualEncoder, inputs: Sequence[Input], chunk: int) -> Embeddings:
    """Return unit embeddings of any number of inputs, shape ``(len(inputs), dimension)``."""
    parts = [embed(encoder, inputs[start : start + chunk]).cpu().numpy() for start in range(0, len(inputs), chunk)]
    return np.concatenate(parts)


class PlugIn:
    """The objective: ``backward`` adds one step's gradient to the encoder's weights.

    The reference of the divergence is the encoder at the time of making this: its embeddings are kept, no copy of it.

    Args:
        encoder: The encoder to train; which of its weights have ``requires_grad`` is the caller's choice.
        pools: Queries and candidates.
        settings: Of stage 3.
        seed: Decides every draw.

    Raises:
        InputError: A query has no positive or fewer negatives than asked for.
    """

    def __init__(self, encoder: DualEncoder, pools: Sequence[Pool], settings: Reinforcement, *, seed: int) -> None:
        self._encoder, self._pools, self._settings, self._seed = encoder, pools, settings, seed
        kind = Gaussian if settings.policy == "gaussian" else VonMisesFisher
        self._policy: Policy = kind(encoder.dimension, settings.spread)
        self._reference = embed_pools(pools, self._embed) if settings.beta else []
        self.sampler = Sampler(pools, settings, settings.sampling, seed=seed, embed=self._embed)
        self._watch = VarianceWatch(settings.patience)

    def _embed(self, inputs: Sequence[Input]) -> Embeddings:
        return embed_all(self._encoder, inputs, self._settings.chunk)

    def backward(self, step: int) -> dict[str, float]:
        """Add the gradient of one step and return its metrics.

        Raises:
            ModelError: Rewards have not differed for long, or are not finite.
        """
        settings, draws = self._settings, self.sampler.draws(step)
        items = [(draw.pool, inputs, row) for draw in draws for inputs, row in self._rows(draw)]
        starts = range(0, len(items), settings.chunk)
        with torch.no_grad():
            drawn = torch.cat([self._draw(self._means(items[s : s + settings.chunk]), step, s) for s in starts])
        grades = torch.from_numpy(np.stack([draw.grades for draw in draws])).to(drawn.device)
        rolled = normalize(drawn, dim=-1).reshape(len(draws), -1, *drawn.shape[1:])
        feedback = give_feedback(rolled, grades, settings, answers(self._pools, draws).to(drawn.device))
        if not np.isfinite(feedback.metrics["reward"]):
            raise ModelError("the reward is not finite", where=f"stage 3, step {step}", hint="lower stage3.lr")
        if settings.gradient != "pathwise":  # which needs no differences
            self._watch.see(feedback.metrics["zero_variance"])
        advantages, gradient = feedback.advantages.flatten(0, 1), feedback.gradient.flatten(0, 1)
        reference = None
        if settings.beta:
            reference = torch.from_numpy(np.stack([self._reference_of(item) for item in items])).to(drawn.device)
        divergence = 0.0
        for start in starts:
            part = slice(start, start + settings.chunk)
            means = self._means(items[part])
            loss = torch.zeros((), device=drawn.device)
            if reference is not None:
                kl = self._policy.divergence(means, reference[part]).sum() / len(items)
                loss = settings.beta * kl
                divergence += float(kl.detach())
            if settings.gradient != "pathwise":
                loss = loss + self._policy_loss(means, drawn[part], advantages[part]) * len(means) / len(items)
            if settings.gradient != "score":
                again = normalize(self._draw(means, step, start), dim=-1)  # the same noise, now under gradient
                loss = loss + (again * gradient[part]).sum()
            if loss.requires_grad:  # not where all of a chunk passes a tower that does not train
                loss.backward()  # type: ignore[no-untyped-call]
        return {**feedback.metrics, "kl": divergence} if settings.beta else feedback.metrics

    def state(self) -> dict[str, Tensor]:
        """Return what an interrupted run needs to go on exactly: where the encoder came from, and its negatives."""
        reference = {
            f"reference.{number}.{side}": torch.from_numpy(rows)
            for number, pool in enumerate(self._reference)
            for side, rows in enumerate(pool)
        }
        negatives = {f"sampler.{name}": tensor for name, tensor in self.sampler.state().items()}
        return {"watch": torch.tensor(self._watch.steps), **negatives, **reference}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._watch.steps = int(state["watch"])
        self.sampler.load_state({name[8:]: value for name, value in state.items() if name[:8] == "sampler."})
        self._reference = [
            (state[f"reference.{number}.0"].numpy(), state[f"reference.{number}.1"].numpy())
            for number in range(len(self._reference))
        ]

    def _draw(self, means: Tensor, step: int, start: int) -> Tensor:
        return self._policy.sample(means, self._settings.rollouts, seeded(self._seed, step, start))

    def _policy_loss(self, means: Tensor, drawn: Tensor, advantages: Tensor) -> Tensor:
        """The density of one draw is one action: a sequence of one token, as far as the loss is concerned."""
        log_probs = self._policy.log_prob(drawn, means.unsqueeze(1)).reshape(-1, 1)
        ones = torch.ones_like(log_probs)
        return clipped_loss(
            log_probs, log_probs.detach(), advantages.reshape(-1), ones, clip_ratio=self._settings.clip_ratio
        )

    def _rows(self, draw: Draw) -> list[tuple[str, int]]:
        return [("queries", draw.query), *(("candidates", int(row)) for row in draw.candidates)]

    def _means(self, items: Sequence[tuple[int, str, int]]) -> Tensor:
        return embed(self._encoder, [getattr(self._pools[pool], side)[row] for pool, side, row in items])

    def _reference_of(self, item: tuple[int, str, int]) -> Embeddings:
        pool, side, row = item
        vector: Embeddings = self._reference[pool][0 if side == "queries" else 1][row]
        return vector
