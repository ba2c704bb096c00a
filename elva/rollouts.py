"""Rollouts: G summaries of every prompt, their log-probabilities and their embeddings, without naive repetition.

All G summaries of a prompt share one row: the prompt, then the branches. A mask lets a branch see the prompt and
itself, and positions go on from the end of the prompt in each branch. So the prompt and its pictures are computed
once, its keys and values are held once, and one pass under gradient gives the log-probabilities of all branches and the
hidden states at their ``[RET]``. What a branch computes is what it would compute alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of one chunk, padded on the left.

    Attributes:
        input_ids: Shape ``(num_prompts, prompt_length)``.
        attention_mask: Same shape; 0 for padding.
        position_ids: Shape ``(3, num_prompts, prompt_length)``: time, height, width.
        images: What the model takes for encoded pictures (``mm_encoder_outputs``), or None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    images: Any


_FEWER = 0.8  # prompts whose summaries have all ended are taken out once so few others are left
Backbone = torch.nn.Module  # the model of transformers without its head: returns ``last_hidden_state``


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Sampled summaries.

    Attributes:
        tokens: Shape ``(num_prompts, num_rollouts, length)``; the end token included, padded with it.
        lengths: Tokens up to and with the end token, shape ``(num_prompts, num_rollouts)``.
        forced: Whether the end token was put there because the length was used up, and not sampled; same shape.
        embeddings: Unit length, shape ``(num_prompts, num_rollouts, dimension)``, no gradient.
    """

    tokens: Tensor
    lengths: Tensor
    forced: Tensor
    embeddings: Tensor

    @property
    def mask(self) -> Tensor:
        """1 for sampled tokens, 0 for padding and forced ends; shape of ``tokens``."""
        places = torch.arange(self.tokens.shape[-1], device=self.tokens.device)
        return (places < (self.lengths - self.forced.long()).unsqueeze(-1)).float()


@torch.no_grad()
def sample(
    backbone: Backbone,
    head: Callable[[Tensor], Tensor],
    prompts: Prompts,
    *,
    rollouts: int,
    max_tokens: int,
    end: int,
    forbidden: Tensor,
    temperature: float = 1.0,
    generators: Sequence[torch.Generator] | None = None,
) -> Rollouts:
    """Sample summaries; the hidden state at the end token is the embedding.

    Args:
        backbone: The model without its head.
        head: Hidden states to scores of tokens.
        prompts: The prompts.
        rollouts: Summaries of each prompt.
        max_tokens: Most tokens of a summary; the end token is put after them where it was not sampled.
        end: Id of ``[RET]``, the one special token that can be sampled.
        forbidden: Ids that cannot be sampled.
        temperature: Of sampling; 0 takes the likeliest token.
        generators: One for each prompt, so that its draws do not depend on what else is in the chunk.
    """
    rows, length = prompts.input_ids.shape
    cache = DynamicCache()
    cached = {_name_of_cache(backbone): cache, "use_cache": True}
    hidden = backbone(
        input_ids=prompts.input_ids,
        attention_mask=prompts.attention_mask,
        position_ids=prompts.position_ids,
        mm_encoder_outputs=prompts.images,
        **cached,
    ).last_hidden_state[:, -1:]
    hidden = hidden.expand(-1, rollouts, -1)
    first = (prompts.position_ids.amax((0, 2)) + 1).view(1, rows, 1)
    seen = _bias(prompts.attention_mask.bool(), hidden.dtype).view(rows, 1, 1, length).expand(-1, -1, rollouts, -1)
    own = _bias(torch.eye(rollouts, dtype=torch.bool, device=hidden.device), hidden.dtype).expand(rows, 1, -1, -1)
    tokens, embeddings = [], torch.zeros_like(hidden)
    alive = torch.ones(rows, rollouts, dtype=torch.bool, device=hidden.device)
    lengths, forced = alive.long() * 0, torch.zeros_like(alive)
    at = torch.arange(rows, device=hidden.device)  # the prompts that are still worked on
    for step in range(max_tokens + 1):
        drawn = (
            _draw(head(hidden), forbidden, temperature, generators)
            if step < max_tokens
            else torch.full_like(lengths[at], end)
        )
        drawn = torch.where(alive, drawn, end)
        if step == max_tokens:
            forced[at] = alive
        tokens.append(torch.full_like(lengths, end).index_copy(0, at, drawn))
        lengths[at] += alive
        seen = torch.cat([seen, own], -1)
        hidden = backbone(
            input_ids=drawn,
            attention_mask=seen,
            position_ids=(first + step).expand(3, len(at), rollouts),
            **cached,
        ).last_hidden_state
        ended = alive & (drawn == end)
        embeddings[at] = torch.where(ended.unsqueeze(-1), hidden, embeddings[at])
        alive = alive & ~ended
        going = alive.any(1).nonzero()[:, 0]
        if not len(going):
            break
        if len(going) <= _FEWER * len(at):
            cache.batch_select_indices(going)
            hidden, first, seen, own = hidden[going], first[:, going], seen[going], own[going]
            at, alive = at[going], alive[going]
            generators = None if generators is None else [generators[row] for row in going.tolist()]
    return Rollouts(torch.stack(tokens, -1), lengths, forced, torch.nn.functional.normalize(embeddings.float(), dim=-1))


def _name_of_cache(backbone: Backbone) -> str:
    """Return the argument that takes the cache of keys and values: transformers renamed it in version 5.24."""
    return "cache" if "cache" in inspect.signature(backbone.forward).parameters else "past_key_values"


def seeded(*numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator whose stream is a function of these numbers.

    >>> bool(torch.rand(1, generator=seeded(0, 7)) == torch.rand(1, generator=seeded(0, 7)))
    True
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator(device).manual_seed(seed)


def _draw(
    scores: Tensor, forbidden: Tensor, temperature: float, generators: Sequence[torch.Generator] | None
) -> Tensor:
    scores = scores.float().index_fill(-1, forbidden, -torch.inf)
    if temperature == 0:
        return scores.argmax(-1)
    # Gumbel's trick: the argmax of log-probabilities less the logarithm of exponential noise is a draw from them.
    if generators is None:
        noise = torch.empty_like(scores).exponential_()
    else:
        rows = [torch.empty(scores.shape[1:], device=g.device).exponential_(generator=g) for g in generators]
        noise = torch.stack(rows).to(scores.device)
    return (scores / temperature - noise.clamp(min=torch.finfo(torch.float32).tiny).log()).argmax(-1)


def teacher_forced(
    backbone: Backbone,
    head: Callable[[Tensor], Tensor] | None,
    prompts: Prompts,
    tokens: Tensor,
    lengths: Tensor,
    *,
    forbidden: Tensor,
    temperature: float = 1.0,
) -> tuple[Tensor | None, Tensor]:
    """Run prompts and given summaries in one pass, under gradient where that is on.

    Args:
        backbone: The model without its head.
        head: Hidden states to scores of tokens; None where log-probabilities are not asked for.
        prompts: The prompts.
        tokens: Summaries with their end token, shape ``(num_prompts, num_rollouts, length)``.
        lengths: Tokens up to and with the end token, shape ``(num_prompts, num_rollouts)``.
        forbidden: Ids that cannot be sampled: they have no share in the probabilities.
        temperature: Of sampling.

    Returns:
        Log-probabilities of the tokens, float32, shape of ``tokens`` (meaningless after the end token), and embeddings
        of unit length, shape ``(num_prompts, num_rollouts, dimension)``.
    """
    rows, rollouts, length = tokens.shape
    start = prompts.input_ids.shape[1]
    offsets = torch.arange(length, device=tokens.device)
    first = (prompts.position_ids.amax((0, 2)) + 1).view(1, rows, 1, 1)
    branches = (first + offsets).expand(3, rows, rollouts, length).reshape(3, rows, -1)
    hidden = backbone(
        input_ids=torch.cat([prompts.input_ids, tokens.flatten(1)], 1),
        attention_mask=_sees(prompts.attention_mask, lengths, length, backbone),
        position_ids=torch.cat([prompts.position_ids, branches], 2),
        mm_encoder_outputs=prompts.images,
        use_cache=False,
    ).last_hidden_state
    inside = hidden[:, start:].unflatten(1, (rollouts, length))
    at_end = inside.gather(2, (lengths - 1).view(rows, rollouts, 1, 1).expand(-1, -1, 1, inside.shape[-1])).squeeze(2)
    embeddings = torch.nn.functional.normalize(at_end.float(), dim=-1)
    if head is None:
        return None, embeddings
    before = hidden[:, start - 1].view(rows, 1, 1, -1).expand(-1, rollouts, -1, -1)
    scores = head(torch.cat([before, inside[:, :, :-1]], 2)).float().index_fill(-1, forbidden, -torch.inf)
    return torch.log_softmax(scores / temperature, -1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1), embeddings


def _sees(prompt_mask: Tensor, lengths: Tensor, length: int, backbone: Any) -> Tensor:
    if lengths.shape[1] > 1:
        return _tree_bias(prompt_mask.bool(), lengths, length, next(backbone.parameters()).dtype)
    # One branch is an ordinary row; what stands after its end is seen by nothing that counts.
    return torch.cat([prompt_mask, prompt_mask.new_ones(len(prompt_mask), length)], 1)


def _tree_bias(prompt_mask: Tensor, lengths: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """Return what is added to attention scores, shape ``(num_prompts, 1, all, all)``: 0 to see, very low not to."""
    rows, start = prompt_mask.shape
    rollouts = lengths.shape[1]
    branch = torch.arange(rollouts, device=lengths.device).repeat_interleave(length)
    offset = torch.arange(length, device=lengths.device).repeat(rollouts)
    same = (branch.unsqueeze(1) == branch) & (offset.unsqueeze(1) >= offset)
    size = start + rollouts * length
    sees = torch.zeros(rows, size, size, dtype=torch.bool, device=lengths.device)
    sees[:, :start, :start] = prompt_mask.unsqueeze(1) & torch.ones(start, start, device=lengths.device).tril().bool()
    sees[:, start:, :start] = prompt_mask.unsqueeze(1)
    sees[:, start:, start:] = same
    sees |= torch.eye(size, dtype=torch.bool, device=lengths.device)  # padding sees itself: a row without any is NaN
    return _bias(sees, dtype).unsqueeze(1)


def _bias(sees: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill(~sees, torch.finfo(dtype).min)
