"""``mllm:ID_OR_PATH[@TEMPLATE]``: multimodal language models as embedders, each with its template."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers

from mrbench.arrays import Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint import identity, settings_digest, weights_of
from mrbench.models.dual_encoder import DTYPES
from mrbench.models.facts import licence_of, parameter_count
from mrbench.models.forward import CPU_BATCH, embed_batches
from mrbench.models.mllm_checkpoint import choose_template, hub_ids, load_parts, raw_config, split_template
from mrbench.models.mllm_prompt import Picture, PictureReader, PromptTokens, span_of
from mrbench.models.other_adapter import check_adapter
from mrbench.models.peft_adapter import find_parts
from mrbench.models.pixels import TRIAL, Scaling
from mrbench.models.pretrained import loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.template import Side, Template
from mrbench.models.text_limits import limit_of
from mrbench.records import MODALITIES, Modality

MOST_TOKENS = 1 << 15
"""Tokens of a forward pass at most, with what fills up; a single prompt may be longer."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A prompt: its tokens, its picture, and the first and the end of the tokens that are read."""

    ids: list[int]
    picture: Picture | None
    span: tuple[int, int]


def load_mllm(
    spec: str,
    *,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 1024,
    dtype: str | None = None,
    max_length: int | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """Return the model of a spec: :class:`Mllm`, or one with code of its own where that is allowed and needed.

    Args:
        spec: A folder or a hub id, ``@`` and the name of a template or a YAML file where the checkpoint does not tell.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 16.
        dtype: ``float32``, ``float16`` or ``bfloat16``; None takes that of the weights.
        max_length: Tokens of a prompt at most, those of its picture among them; None takes what the template says.
        trust_remote_code: Whether code that comes with the weights may run.

    Raises:
        InputError: No such folder, device, dtype or template, a checkpoint that does not tell how it embeds, or a
            length that leaves no room for texts.
        ModelError: A missing or unexpected key, code that nobody allowed, or anything that transformers raises.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InputError("unknown dtype", where="dtype", got=dtype, accepted=", ".join(DTYPES))
    source, named = split_template(spec)
    if trust_remote_code:
        from mrbench.models.mllm_remote import find_remote

        remote = find_remote(source, named)
        if remote is not None:
            if max_length is not None:
                what = "the model takes no --max-length: code of its own cuts texts"
                raise InputError(what, where=source, got=max_length, hint="say it in options: of a template")
            found = remote(device=device, batch_size=batch_size, dtype=dtype)
            found.variant = f"template {found.template} {found.template_digest[:8]}" if named else ""
            return found
    model = Mllm(source, named, device=device, batch_size=batch_size, dtype=dtype)
    model.variant = f"template {model.how.name} {model.how.digest[:8]}" if named else ""
    if max_length is not None:
        model.limit_prompts(max_length)
    return model


class Mllm:
    """A Qwen2-VL, Qwen2.5-VL, Qwen3-VL or LLaVA-Next whose hidden states are embeddings.

    The state is the last one, after the final norm. Prompts of a batch are filled up and masked, and positions are
    counted without what fills up, so that a vector does not depend on the batch.

    Args:
        source: A folder or a hub id; or an adapter of PEFT, which is merged into its base.
        named: A template, or None for the one that the checkpoint is known to need.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 16.
        dtype: Number format; None takes that of the weights. Embeddings are returned in float32.

    Attributes:
        how: The template.
        template: Its name.
        max_length: Tokens of a prompt at most, or None: longer ones lose the end of their text. May be set.

    Raises:
        InputError: No such folder, device or template, or a checkpoint that does not tell how it embeds.
        ModelError: A missing or unexpected key, or a part that fails at what is embedded on trial.
    """

    modalities: frozenset[Modality] = frozenset(MODALITIES)
    variant = ""

    def __init__(
        self,
        source: str,
        named: str | None = None,
        *,
        device: str = "auto",
        batch_size: int = 1024,
        dtype: str | None = None,
    ) -> None:
        self._device = resolve_device(device)
        parts = find_parts(source)
        folder = parts.base.folder
        check_adapter("mllm", folder)
        weights = weights_of(folder)
        config = raw_config(folder)
        self.how: Template = choose_template(named, hub_ids(parts), folder, config)
        if self._wants_code(config):
            raise ModelError(
                "the model comes with code of its own, which nobody allowed to run",
                where=folder,
                got=", ".join(config["architectures"]),
                hint="read the code, then --trust-remote-code",
            )
        loaded = load_parts(parts, config, None if dtype is None else DTYPES[dtype])
        self.module = loaded.network.to(self._device)
        settings = self.module.config
        self._image_token = int(getattr(settings, "image_token_id", None) or settings.image_token_index)
        self._grids = hasattr(self.module, "get_rope_index")
        self._filling = loaded.tokenizer.pad_token_id or 0
        self._tokens = PromptTokens(loaded.tokenizer, self.how, self._image_token)
        spelt = loaded.tokenizer.convert_ids_to_tokens(self._image_token)
        with loading(str(folder), "the image processor"):
            self.prepare = PictureReader(loaded.images, self.how.image, loaded.counter, spelt)
            self._scaling = _scaling(self.prepare, loaded.images, self._device)
        self._batch_size = min(batch_size, CPU_BATCH) if self._device.type == "cpu" else batch_size
        self.name, self.device, self.template = parts.name, str(self._device), self.how.name
        self.dtype = str(self.module.dtype).removeprefix("torch.")
        self.revision = parts.revision(parts.base.commit or identity(folder, weights, loaded.tokenizer))
        self.revision_is_digest = not parts.at_commits
        self.parameter_count, self.licence = (
            parameter_count(self.module),
            licence_of((parts.adapter or parts.base).folder),
        )
        self._positions_there = int(getattr(settings.get_text_config(), "max_position_embeddings", 0))
        self.image_size = self.prepare.image_size
        self.symmetric, self.additive = self.how.symmetric, self.how.sums
        read = [] if parts.adapter is None else [settings_digest(parts.adapter.folder)]
        read.append(settings_digest(folder, tokenizer=loaded.tokenizer))
        self._said = [*read, str(loaded.images.to_dict()), transformers.__version__]
        self.dimension = self._try(str(folder))

    @property
    def max_length(self) -> int | None:
        """Tokens of a prompt at most."""
        return self._tokens.max_length

    @max_length.setter
    def max_length(self, tokens: int | None) -> None:
        self._tokens.max_length = tokens

    @property
    def max_text_length(self) -> int | None:
        """Tokens of a prompt at most: as the template says or the user, else as many as the network has positions."""
        return self.max_length or self._positions_there or None

    def limit_prompts(self, tokens: int) -> None:
        """Cut texts so that a prompt has no more tokens than these.

        Raises:
            InputError: The prompt without a text has as many, or the network has no such positions.
        """
        around = max(len(self._tokens(side, "text", "", "", 0)) for side in ("query", "candidate"))
        self.max_length = limit_of(self._positions_there or tokens, tokens, where=self.name, least=around + 1)

    @property
    def preprocessing(self) -> str:
        """What is not weights: a digest of template, length, other files, and the version of transformers."""
        said = [self.how.digest, str(self.max_length), *self._said]
        return f"{self.how.name} {hashlib.sha256(' '.join(said).encode()).hexdigest()[:16]}"

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        found: Embeddings = self._embed(items, "query", instruction)
        return found

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        found: Embeddings = self._embed(items, "candidate", "")
        return found

    def _wants_code(self, config: dict[str, Any]) -> bool:
        remote = self.how.remote
        return remote is not None and bool({*remote.architectures} & {*(config.get("architectures") or ())})

    def _embed(self, items: Sequence[Item], side: Side, instruction: str) -> Any:
        if not items:
            return np.empty((0, self.dimension), dtype=np.float32)
        rows: list[_Row] = []
        item_of: list[int] = []
        for number, item in enumerate(items):
            made = list(self._rows(item, number, side, instruction))
            rows += made
            item_of += [number] * len(made)
        order = sorted(range(len(rows)), key=lambda row: len(rows[row].ids))
        found = embed_batches(self._forward, list(self._batches([rows[row] for row in order])), self._device)
        found = found[np.argsort(order)]
        if len(rows) == len(items):
            return found
        sums = torch.zeros((len(items), found.shape[1]), device=self._device)
        sums.index_add_(0, torch.tensor(item_of, device=self._device), torch.as_tensor(found))
        return sums if self._device.type == "cuda" else sums.numpy()

    def _rows(self, item: Item, number: int, side: Side, instruction: str) -> Iterator[_Row]:
        """Yield the prompt of an item, or those of its text and of its picture where the vector is their sum."""
        if item.text is None and item.image is None:
            raise ModelError(
                "an item has neither a text nor an image",
                where=f"{self.name}, item {number}",
                accepted="a text, an image, or both",
            )
        image: Any = item.image
        picture = image if image is None or isinstance(image, Picture) else self.prepare(image)
        part = "text" if picture is None else "image" if item.text is None else "both"
        halves = ("text", "image") if part == "both" and self.how.sums else (part,)
        for half in halves:
            shown = None if half == "text" else picture
            said = None if half == "image" else item.text
            ids = self._tokens(side, half, instruction, said, 0 if shown is None else shown.tokens)
            yield _Row(ids, shown, span_of(self.how, ids, self._image_token))

    def _batches(self, rows: Sequence[_Row]) -> Iterator[list[_Row]]:
        """Yield rows, sorted by length, in batches that keep to the number of items and of tokens."""
        batch: list[_Row] = []
        for row in rows:
            full = len(batch) == self._batch_size or (len(batch) + 1) * len(row.ids) > MOST_TOKENS
            if batch and full:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    def _forward(self, rows: list[_Row]) -> torch.Tensor:
        width = max(len(row.ids) for row in rows)
        gaps = [(width - len(row.ids)) * (self.how.padding == "left") for row in rows]
        ids = np.full((len(rows), width), self._filling, dtype=np.int64)
        there = np.zeros((len(rows), width), dtype=np.int64)
        for number, (row, gap) in enumerate(zip(rows, gaps, strict=True)):
            ids[number, gap : gap + len(row.ids)] = row.ids
            there[number, gap : gap + len(row.ids)] = 1
        mask = torch.from_numpy(there).to(self._device)
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(ids).to(self._device), "attention_mask": mask}
        shown = [row.picture for row in rows if row.picture is not None]
        inputs |= _together(shown, self._device, self.module.dtype, self._scaling) if shown else {}
        inputs["position_ids"] = self._positions(inputs)
        if self._grids:
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == self._image_token).int() * mask.int()
        hidden = self.module(**inputs, use_cache=False).last_hidden_state
        spans = [(gap + row.span[0], gap + row.span[1]) for row, gap in zip(rows, gaps, strict=True)]
        vectors = torch.stack([hidden[n, start:end].float().mean(0) for n, (start, end) in enumerate(spans)])
        return torch.nn.functional.normalize(vectors, dim=-1) if self.how.normalise else vectors

    def _positions(self, inputs: dict[str, Any]) -> torch.Tensor:
        mask = inputs["attention_mask"]
        counted: torch.Tensor = (mask.cumsum(-1) - 1).clamp(min=0)
        if not self._grids:
            return counted
        if self.how.positions == "linear":
            return counted.expand(3, *counted.shape)
        kinds = (inputs["input_ids"] == self._image_token).int() * mask.int()
        found: torch.Tensor = self.module.get_rope_index(
            input_ids=inputs["input_ids"],
            mm_token_type_ids=kinds,
            image_grid_thw=inputs.get("image_grid_thw"),
            attention_mask=mask,
        )[0]
        return found

    def _try(self, source: str) -> int:
        """Embed an item of each kind, and return the dimension: a damaged checkpoint is refused before any work."""
        for part, item in (("text", Item("a dog")), ("image", Item(None, TRIAL)), ("both", Item("a dog", TRIAL))):
            with loading(source, f"a trial with {part}"):
                vector = partial(self._embed, side="query", instruction="Find it")([item])[0]
            if not torch.as_tensor(vector).isfinite().all():
                raise ModelError(
                    "the model returns vectors that are not finite",
                    where=source,
                    got=part,
                    hint="try --dtype float32; where that changes nothing, the weights are damaged",
                )
        return int(vector.shape[0])


def _scaling(reader: PictureReader, processor: Any, device: torch.device) -> Scaling | None:
    """Have a reader leave pixels as bytes, and return what scales them; None where that is not what it does itself."""
    expected = reader(TRIAL).arrays["pixel_values"]
    reader.scales = False
    try:
        scaling, plain = Scaling(processor, device), torch.from_numpy(reader(TRIAL).arrays["pixel_values"])
        same = np.array_equal(_scaled(plain.to(device), scaling).cpu().numpy(), expected)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        same = False
    reader.scales = not same
    return scaling if same else None


def _scaled(pixels: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """Return float32 of bytes: of patches, shape ``(number, channels * values)``, or of tiles."""
    if pixels.ndim > 2:
        return scaling(pixels.flatten(0, -4)).view(pixels.shape)
    return scaling(pixels.view(len(pixels), 3, -1, 1)).view(pixels.shape)


def _together(
    pictures: Sequence[Picture], device: torch.device, dtype: torch.dtype, scaling: Scaling | None
) -> dict[str, torch.Tensor]:
    """Return the arrays of pictures as one batch; tiles of the LLaVA kind are filled up to the largest number."""
    found: dict[str, torch.Tensor] = {}
    for name in pictures[0].arrays:
        arrays = [picture.arrays[name] for picture in pictures]
        most = max(array.shape[1] for array in arrays)
        if name == "pixel_values" and arrays[0].ndim == 5:
            gaps = [(0, 0), *[(0, 0)] * 3]
            arrays = [np.pad(one, [gaps[0], (0, most - one.shape[1]), *gaps[1:]]) for one in arrays]
        tensor = torch.from_numpy(np.concatenate(arrays)).to(device)
        if scaling is not None and name == "pixel_values":
            tensor = _scaled(tensor, scaling)
        found[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return found
