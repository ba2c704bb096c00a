"""Stage 3: reinforcement learning on what summaries do to the ranking (ELVA, arXiv 2606.20280).

A step: draw queries, each with its positive and balanced negatives; sample G summaries of each of these items; the
embedding is the hidden state at ``[RET]``; score every rollout, compare it with its group (:mod:`elva.feedback`); then
one pass under gradient, a chunk at a time, adds the clipped policy loss on the tokens, the divergence from the
reference (the adapters switched off: no second copy), and, by option, the reward's own gradient through the embeddings.

Beyond the paper: ``gradient`` (``pathwise``, ``both``), ``credit: own`` and the graded reward.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elva.config import Reinforcement
from elva.data import Pool
from elva.feedback import give_feedback
from elva.grpo import VarianceWatch, clipped_loss, k3_divergence, masked_mean
from elva.model import Elva, seeded_globally
from elva.processes import Processes
from elva.prompts import Input
from elva.rollouts import sample, seeded, teacher_forced
from elva.sampler import Draw, Sampler, answers
from mrbench.arrays import Embeddings
from mrbench.errors import ModelError

Place = tuple[int, str, int]  # pool, "queries" or "candidates", row


class Learner:
    """The objective: ``backward`` adds one step's gradient to the adapters.

    Args:
        model: The model, adapters on.
        pools: Queries and candidates.
        settings: Of stage 3.
        seed: Decides every draw.
        max_tokens: Most tokens of a summary.
        processes: Every ``world``-th query of a step is this process's.

    Raises:
        InputError: A query has no positive or fewer negatives than asked for.
    """

    def __init__(
        self,
        model: Elva,
        pools: Sequence[Pool],
        settings: Reinforcement,
        *,
        seed: int,
        max_tokens: int,
        processes: Processes | None = None,
    ) -> None:
        self._model, self._pools, self._settings, self._seed = model, pools, settings, seed
        self._max_tokens, self._processes = max_tokens, processes or Processes()
        self._rows = max(1, settings.chunk // settings.rollouts)
        self._watch = VarianceWatch(settings.patience)
        self._held: dict[str, Tensor] = {}
        self.sampler = Sampler(pools, settings, settings.sampling, seed=seed, embed=self._embed)

    def backward(self, step: int) -> dict[str, float]:
        """Add the gradient of one step and return its metrics.

        With ``updates`` above 1, that many steps share the rollouts of the first; its ``pathwise`` gradient too.

        Returns:
            The metrics of :class:`elva.feedback.Feedback` (of the first of such steps), ``kl`` per token, ``length``
            (sampled tokens a summary), ``ended`` (share of summaries that ended by themselves).

        Raises:
            ModelError: Rewards have not differed for long, or are not finite.
        """
        updates = self._settings.updates
        everyone = self.sampler.draws(step // updates)
        draws = everyone[self._processes.rank :: self._processes.world]
        places = [place for draw in draws for place in _places(draw)]
        metrics: dict[str, float] = {}
        if step % updates == 0:
            metrics = self._roll_out(everyone, places, step)
        return metrics | self._learn(places, len(draws) / len(everyone), step // updates)

    def _roll_out(self, everyone: Sequence[Draw], places: Sequence[Place], step: int) -> dict[str, float]:
        # One stream an item, by its place in the whole step: the draws do not depend on chunks or processes.
        rank, world, device = self._processes.rank, self._processes.world, self._model.device
        width = 1 + len(everyone[0].candidates)
        streams = [
            seeded(self._seed, step, rank + place // width * world, place % width, device=device)
            for place in range(len(places))
        ]
        parts = [self._sample(self._inputs(places[part]), streams[part]) for part in self._chunks(len(places))]
        embeddings = torch.cat([part.pop("embeddings") for part in parts])
        longest = max(part["tokens"].shape[-1] for part in parts)
        for part in parts:
            gap = longest - part["tokens"].shape[-1]
            part["tokens"] = torch.nn.functional.pad(part["tokens"], (0, gap), value=self._model.end)
            part["mask"] = torch.nn.functional.pad(part["mask"], (0, gap))
        held = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        grades = torch.from_numpy(np.stack([draw.grades for draw in everyone])).to(device)
        # Of all processes: the candidates of one's queries may be negatives of the queries of another.
        rolled = self._processes.gather_shares(embeddings.reshape(-1, width, *embeddings.shape[1:]), len(everyone))
        feedback = give_feedback(rolled, grades, self._settings, answers(self._pools, everyone).to(device))
        if not np.isfinite(feedback.metrics["reward"]):
            raise ModelError("the reward is not finite", where=f"stage 3, step {step}", hint="lower stage3.lr")
        if self._settings.gradient != "pathwise":  # which needs no differences
            self._watch.see(feedback.metrics["zero_variance"])
        held["advantages"] = feedback.advantages[rank::world].flatten(0, 1)
        # The gradient of the mean over everyone; what is learned from it is weighed by this process's share.
        own = feedback.gradient[rank::world]
        held["gradient"] = (own * (len(everyone) / len(own))).flatten(0, 1)
        self._held = held
        sampled = held["mask"].sum(-1)
        ended = (sampled == held["lengths"]).float().mean()
        return {**feedback.metrics, "length": float(sampled.mean()), "ended": float(ended)}

    @torch.no_grad()  # the prompts too: dropout and checkpointing are for passes under gradient
    def _sample(self, inputs: Sequence[Input], generators: Sequence[torch.Generator] | None) -> dict[str, Tensor]:
        """Sample with generators; without, take one summary of the likeliest tokens."""
        rolled = sample(
            self._model.backbone,
            self._model.head,
            self._model.prompts(inputs, "summary"),
            rollouts=1 if generators is None else self._settings.rollouts,
            max_tokens=self._max_tokens,
            end=self._model.end,
            forbidden=self._model.forbidden,
            temperature=0 if generators is None else self._settings.temperature,
            generators=generators,
        )
        return {name: getattr(rolled, name) for name in ("tokens", "lengths", "mask", "embeddings")}

    def _learn(self, places: Sequence[Place], weight: float, batch: int) -> dict[str, float]:
        settings, held, total, old = self._settings, self._held, 0.0, []
        for part in self._chunks(len(places)):
            if settings.beta:  # before the pass under gradient: it leaves the model without dropout
                with torch.no_grad(), self._model.reference():
                    reference = self._forced(places[part], part)[0].flatten(0, 1)
            with seeded_globally(self._seed, batch, self._processes.rank, part.start):  # dropout, one for all updates
                log_probs, embeddings = self._forced(places[part], part)
            mask = held["mask"][part].flatten(0, 1)
            share = len(log_probs) / len(places)
            loss = (embeddings * held["gradient"][part]).sum()  # zero unless the reward's own gradient is asked for
            tokens = log_probs.flatten(0, 1)
            old.append(held["old"][part].flatten(0, 1) if "old" in held else tokens.detach())
            if settings.gradient != "pathwise":
                advantages = held["advantages"][part].flatten()
                loss = loss + share * clipped_loss(tokens, old[-1], advantages, mask, clip_ratio=settings.clip_ratio)
            if settings.beta:
                kl = share * masked_mean(k3_divergence(tokens, reference), mask)
                loss = loss + settings.beta * kl
                total += float(kl.detach())
            (weight * loss).backward()  # type: ignore[no-untyped-call]
        held["old"] = torch.cat(old).reshape(held["tokens"].shape)
        return {"kl": total} if settings.beta else {}

    def _forced(self, places: Sequence[Place], part: slice) -> tuple[Tensor, Tensor]:
        log_probs, embeddings = teacher_forced(
            self._model.backbone,
            self._model.head,
            self._model.prompts(self._inputs(places), "summary"),
            self._held["tokens"][part],
            self._held["lengths"][part],
            forbidden=self._model.forbidden,
            temperature=self._settings.temperature,
        )
        if log_probs is None:
            raise TypeError("log-probabilities were asked for")
        return log_probs, embeddings

    def _inputs(self, places: Sequence[Place]) -> list[Input]:
        return [getattr(self._pools[pool], side)[row] for pool, side, row in places]

    def _chunks(self, total: int) -> list[slice]:
        return [slice(start, start + self._rows) for start in range(0, total, self._rows)]

    def _embed(self, inputs: Sequence[Input]) -> Embeddings:
        """Embed after the likeliest summary: what mining goes by."""
        chunks = (inputs[start : start + self._settings.chunk] for start in range(0, len(inputs), self._settings.chunk))
        found = [self._sample(chunk, None)["embeddings"][:, 0].cpu().numpy() for chunk in chunks]
        return np.concatenate(found)

    def state(self) -> dict[str, Tensor]:
        """Return what an interrupted run needs to go on exactly."""
        held = {f"held.{name}": tensor.contiguous() for name, tensor in self._held.items()}
        steps = {"watch": torch.tensor(self._watch.steps)}
        return held | steps | {f"sampler.{name}": tensor for name, tensor in self.sampler.state().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._watch.steps = int(state["watch"])
        self._held = {name[5:]: value.to(self._model.device) for name, value in state.items() if name[:5] == "held."}
        self.sampler.load_state({name[8:]: value for name, value in state.items() if name[:8] == "sampler."})


def _places(draw: Draw) -> list[Place]:
    return [(draw.pool, "queries", draw.query), *((draw.pool, "candidates", int(row)) for row in draw.candidates)]
