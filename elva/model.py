"""A Qwen2-VL kind of model as a retriever: prompts, encoded pictures, summaries, and the embedding at ``[RET]``."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from types import SimpleNamespace
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from elva.config import Embedding, Lora, Prompt
from elva.prompts import IMAGE, Ask, Input, Prompter
from elva.rollouts import Prompts, Rollouts, sample, seeded, teacher_forced

LINEAR = r".*language_model\.layers\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
FEATURE_BYTES = 2 << 30  # of encoded pictures that are remembered


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture.

    Attributes:
        grid: Patches in time, height and width, shape ``(3,)``.
        tokens: What stands in the place of its tokens, shape ``(num_tokens, hidden)``.
        deep: What is added in the first layers (Qwen3-VL), each of the shape of ``tokens``.
    """

    grid: Tensor
    tokens: Tensor
    deep: tuple[Tensor, ...]


class Elva:
    """The model with everything that turns inputs into embeddings.

    Args:
        network: An image-text-to-text model of the Qwen2-VL kind.
        tokenizer: Its tokenizer, with ``[RET]``.
        processor: Its image processor.
        prompt: What stands around an input.
        max_summary: Most tokens of a summary.

    Attributes:
        end: Id of ``[RET]``.
        forbidden: Ids that no summary may hold: all other special tokens.
        vision: Whether the vision encoder trains; if not, every picture is encoded once and remembered, and in training
            by itself: in the last bit an encoding differs by what was encoded beside it, and a run that goes on from a
            state encodes other pictures together than one that remembers those of its first steps.
        adapted: The network as peft wraps it, while it has adapters.
    """

    def __init__(self, network: Any, tokenizer: Any, processor: Any, prompt: Prompt, *, max_summary: int) -> None:
        self.network, self.tokenizer, self.processor = network, tokenizer, processor
        self.prompter, self.max_summary = Prompter(tokenizer, prompt), max_summary
        self.vision = self._trains = False
        self.end = self.prompter.ret
        special = sorted({*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder} - {self.end})
        unused = range(len(tokenizer), network.get_output_embeddings().weight.shape[0])
        self.forbidden = torch.tensor([*special, *unused], device=self.device)
        self._image = tokenizer.convert_tokens_to_ids(IMAGE)
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._bytes = 0
        self._memory = Lock()
        self.adapted: Any = None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.network.device
        return device

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return int(self.head.weight.shape[1])

    @property
    def backbone(self) -> Any:
        """The model without its head."""
        return self.network.model

    @property
    def head(self) -> Any:
        """Hidden states to scores of tokens."""
        return self.network.get_output_embeddings()

    # What trains

    def adapt(self, lora: Lora) -> None:
        """Put fresh adapters on the linear layers of the language model; at first they change nothing."""
        config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=LINEAR)
        with no_future_warnings():
            self.adapted = get_peft_model(self.network, config)

    def merge(self) -> None:
        """Add the adapters to the weights and take them off."""
        if self.adapted is not None:
            self.network = self.adapted.merge_and_unload()
            self.adapted = None

    def reference(self) -> AbstractContextManager[Any]:
        """Switch the adapters off for a while."""
        return nullcontext() if self.adapted is None else self.adapted.disable_adapter()

    def unfreeze(self, part: Literal["lora", "language", "all"]) -> dict[str, torch.nn.Parameter]:
        """Let some weights train and no others, and return them by name."""
        for name, weight in self.network.named_parameters():
            adapter, picture = "lora_" in name, ".visual." in f".{name}"
            weight.requires_grad_(adapter if part == "lora" else part == "all" or not picture)
        self.vision, self._trains = part == "all", True
        self.forget()
        return {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}

    # Prompts

    def prompts(self, inputs: Sequence[Input], ask: Ask, *, dropout: bool | None = None) -> Prompts:
        """Return the prompts of inputs; gradients reach the vision encoder only where it trains.

        Dropout and checkpointing are for passes under gradient, unless ``dropout`` says otherwise. With checkpointing a
        model keeps no keys and values: who samples has to switch gradients off before asking for prompts.
        """
        self.network.train(torch.is_grad_enabled() if dropout is None else dropout)
        pictures = self._encode(inputs)
        rows = [
            self.prompter.prompt_ids(item, ask, 0 if picture is None else len(picture.tokens))
            for item, picture in zip(inputs, pictures, strict=True)
        ]
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        input_ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=self.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.device)
        shown = [picture for picture in pictures if picture is not None]
        grid = torch.stack([picture.grid for picture in shown]) if shown else None
        kinds = (input_ids == self._image).int()
        position_ids, _ = self.backbone.get_rope_index(
            input_ids=input_ids, mm_token_type_ids=kinds, image_grid_thw=grid, attention_mask=mask
        )
        images = None
        if shown:
            deep = [list(layer) for layer in zip(*(picture.deep for picture in shown), strict=True)]
            images = {"image": SimpleNamespace(pooler_output=[p.tokens for p in shown], deepstack_features=deep)}
        return Prompts(input_ids, mask, position_ids, images)

    def forget(self) -> None:
        """Forget all encoded pictures."""
        self._pictures.clear()
        self._bytes = 0

    def _encode(self, inputs: Sequence[Input]) -> list[Picture | None]:
        found: dict[int, Picture] = {}
        new: dict[Any, list[int]] = {}
        for row, item in enumerate(inputs):
            if item.image is None:
                continue
            known = self._recall(item.key) if item.key else None
            if known is None:
                new.setdefault(item.key or row, []).append(row)
            else:
                found[row] = known
        if new:
            images = [inputs[rows[0]].image for rows in new.values()]
            together = [[image] for image in images] if self._trains and not self.vision else [images]
            pictures = itertools.chain.from_iterable(map(self._run_vision, together))
            for (key, rows), picture in zip(new.items(), pictures, strict=True):
                found |= dict.fromkeys(rows, picture)
                if isinstance(key, str) and not self.vision:
                    self._remember(key, picture)
        return [found.get(row) for row in range(len(inputs))]

    def _run_vision(self, images: Sequence[Any]) -> Iterator[Picture]:
        pixels = self.processor(images=[image.convert("RGB") for image in images], return_tensors="pt")
        grid = pixels["image_grid_thw"].to(self.device)
        with nullcontext() if self.vision else torch.no_grad():
            out = self.backbone.get_image_features(pixels["pixel_values"].to(self.device), grid, return_dict=True)
        tokens = out.pooler_output
        sizes = [len(part) for part in tokens]
        layers = [torch.split(part, sizes) if isinstance(part, Tensor) else part for part in _deep(out)]
        for row in range(len(images)):
            yield Picture(grid[row], tokens[row], tuple(layer[row] for layer in layers))

    def _recall(self, key: str) -> Picture | None:
        with self._memory:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def _remember(self, key: str, picture: Picture) -> None:
        with self._memory:
            if key in self._pictures:  # another thread was faster
                return
            self._pictures[key] = picture
            self._bytes += _bytes(picture)
            while self._bytes > FEATURE_BYTES:
                self._bytes -= _bytes(self._pictures.popitem(last=False)[1])

    # Embeddings

    def tokens(self, summaries: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return given summaries as tokens that end in ``[RET]``: shapes ``(num, 1, length)`` and ``(num, 1)``."""
        rows = [[*self.prompter.text_ids(text, self.max_summary), self.end] for text in summaries]
        width = max(map(len, rows))
        padded = [row + [self.end] * (width - len(row)) for row in rows]
        lengths = torch.tensor([[len(row)] for row in rows], device=self.device)
        return torch.tensor(padded, device=self.device).unsqueeze(1), lengths

    def forced(
        self,
        inputs: Sequence[Input],
        ask: Ask,
        summaries: Sequence[str] | None = None,
        *,
        log_probs: bool = False,
        dropout: bool | None = None,
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Run inputs with given summaries, or none, in one pass; under gradient where that is on, dropout likewise.

        Returns:
            Log-probabilities of the tokens, ``(num_inputs, length)``, or None; lengths, ``(num_inputs,)``; embeddings,
            ``(num_inputs, dimension)``.
        """
        tokens, lengths = self.tokens([""] * len(inputs) if summaries is None else summaries)
        found, embeddings = teacher_forced(
            self.backbone,
            self.head if log_probs else None,
            self.prompts(inputs, ask, dropout=dropout),
            tokens,
            lengths,
            forbidden=self.forbidden,
        )
        return (None if found is None else found[:, 0]), lengths[:, 0], embeddings[:, 0]

    @torch.no_grad()
    def embed(self, inputs: Sequence[Input], how: Embedding, *, samples: int = 1, seed: int = 0) -> Tensor:
        """Return unit embeddings: at the end of the prompt, after the likeliest summary, or the mean after several.

        Where a model is unsure, one summary says one thing only; the mean over sampled ones keeps what else it thinks
        possible. Draws are a function of the seed and of what an input shows and says, not of its place in a batch.

        Args:
            inputs: What to embed.
            how: At the end of the prompt, or after a summary.
            samples: Sampled summaries, at temperature 1; 1 takes the likeliest instead.
            seed: Of the draws.
        """
        if how == "prompt":
            return self.forced(inputs, "word")[2]
        if samples == 1:
            return self.summarise(inputs)[1]
        generators = [seeded(seed, *content(item), device=self.device) for item in inputs]
        rolled = self._sample(inputs, samples, 1.0, generators)
        return torch.nn.functional.normalize(rolled.embeddings.mean(1), dim=-1)

    @torch.no_grad()
    def summarise(self, inputs: Sequence[Input]) -> tuple[list[str], Tensor]:
        """Return the likeliest summary of each input (token by token), and the embeddings after them."""
        rolled = self._sample(inputs, 1, 0.0, None)
        texts = self.tokenizer.batch_decode(rolled.tokens[:, 0], skip_special_tokens=True)
        return texts, rolled.embeddings[:, 0]

    def _sample(
        self, inputs: Sequence[Input], rollouts: int, temperature: float, generators: Sequence[torch.Generator] | None
    ) -> Rollouts:
        return sample(
            self.backbone,
            self.head,
            self.prompts(inputs, "summary"),
            rollouts=rollouts,
            max_tokens=self.max_summary,
            end=self.end,
            forbidden=self.forbidden,
            temperature=temperature,
            generators=generators,
        )


def content(item: Input) -> tuple[int, int]:
    """Return two numbers that tell what an input shows and says."""
    digest = hashlib.blake2b(f"{item.text}\0".encode(), digest_size=16)
    if item.image is not None:
        digest.update(repr(item.image.size).encode() + item.image.convert("RGB").tobytes())
    return int.from_bytes(digest.digest()[:8]), int.from_bytes(digest.digest()[8:])


def picture_key(image: Any) -> str:
    """Return what identifies the pixels of a picture."""
    digest = hashlib.blake2b(repr((image.mode, image.size)).encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.hexdigest()


def _deep(out: Any) -> list[Any]:
    return list(getattr(out, "deepstack_features", None) or [])


def _bytes(picture: Picture) -> int:
    return sum(part.element_size() * part.nelement() for part in (picture.tokens, *picture.deep))


@contextmanager
def no_future_warnings() -> Iterator[None]:
    """Keep peft quiet about the names by which it asks transformers: no user can do anything about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def seeded_globally(*numbers: int) -> Iterator[None]:
    """Make what draws without a generator (dropout, fresh weights) a function of these numbers, for a while."""
    devices = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seeded(*numbers).initial_seed())
        yield
