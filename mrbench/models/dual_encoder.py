"""CLIP, SigLIP and their kin in the format of transformers, from a folder or the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from mrbench.arrays import Bools, Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint import check_tokens, config_of, identity, processors_of, settings_digest, weights_of
from mrbench.models.common import batches, embed_items, padded
from mrbench.models.facts import image_size_of, licence_of, parameter_count
from mrbench.models.families import (
    FAMILIES,
    HIGHEST,
    features_of_images,
    features_of_texts,
    fills_up,
    load_towers,
    most_tokens,
    vision_settings,
)
from mrbench.models.forward import CPU_BATCH, embed_batches, sent, stacked
from mrbench.models.other_adapter import check_adapter
from mrbench.models.peft_adapter import find_parts, merged
from mrbench.models.pixels import TRIAL, Pixels, check_pixels, pixels_of, scaling_of, settings
from mrbench.models.prefixes import faster_texts
from mrbench.models.pretrained import loading, resolve_device, writing_weights
from mrbench.models.protocol import Item
from mrbench.models.text_limits import cut_by_tokenizer, limit_of
from mrbench.records import MODALITIES, Modality

_TEXTS = ("a photo of a dog ", "собака 狗 كلب 🐕")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class DualEncoder:
    """A text tower and an image tower with one space; the projected features, not normalised.

    CLIP, SigLIP, SigLIP 2, MetaCLIP 2, AltCLIP, Chinese-CLIP, ALIGN, BLIP, FLAVA, GroupViT, CLIPSeg, AIMv2, and pairs
    of towers (``vision-text-dual-encoder``): see :data:`mrbench.models.families.FAMILIES`.

    Picture and text together are the sum of their unnormalised features, as in UniIR's CLIP_SF and in MTEB's
    wrappers; sentence-transformers has no joint input for these models. Search normalises afterwards.

    The instruction is ignored, as in MTEB. UniIR writes it before the text of the query, but fine-tunes on that.

    On a GPU the vectors returned are a tensor there, which may still be worked on.

    Texts may be embedded in a faster way than transformers': see :mod:`mrbench.models.prefixes`. Whoever puts hooks on
    layers of ``module`` sets ``faster_texts`` to None, since it calls the parts of layers by themselves.

    Texts are cut at the length of the text tower. SigLIP's are lower-cased, padded to that length and not masked,
    because it was trained so; the tokenizers of some SigLIP 2 checkpoints do none of the three by themselves.
    Pictures go through the checkpoint's own image processor, always with its Pillow backend, so that installing
    torchvision changes no score.

    Args:
        source: Folder with ``config.json`` and safetensors, or a hub id such as ``openai/clip-vit-base-patch32``, with
            ``@REVISION`` for another branch, tag or commit than that of ``main``. Or a folder of PEFT with an adapter,
            which is merged into the base that it names, or into that of ``FOLDER?base=SOURCE``.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 16 at most, unless ``faster_texts`` embeds them.
        dtype: ``float32``, ``float16`` or ``bfloat16``. Embeddings are returned in float32.
        max_length: Tokens of a text at most, with those that the tokenizer adds; None takes what the text tower does.

    Raises:
        InputError: No such folder, an unknown device or dtype, or a length that the text tower does not take.
        ModelError: Not a checkpoint of these models, weights only as pickles, a missing or unexpected key, a part that
            fails at some texts and an image that are embedded on trial, or a hub that does not answer.

    Source: Radford et al., CLIP (arXiv 2103.00020); Zhai et al., SigLIP (arXiv 2303.15343); Wei et al., UniIR
    (arXiv 2311.17136) for the fusion.
    """

    modalities: frozenset[Modality] = frozenset(MODALITIES)
    symmetric = additive = True
    template = "{text}"

    def __init__(
        self,
        source: str,
        *,
        seed: int = 0,
        device: str = "auto",
        batch_size: int = 1024,
        dtype: str = "float32",
        max_length: int | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise InputError("unknown dtype", where="dtype", got=dtype, accepted=", ".join(DTYPES))
        self._device = resolve_device(device)
        self._batch_size = batch_size
        parts = find_parts(source)
        found = parts.base
        source = str(found.folder)
        check_adapter("hf", found.folder)
        weights = weights_of(found.folder)
        config = config_of(found.folder)
        self._kind, self._family = config.model_type, FAMILIES[config.model_type]
        self.module = load_towers(source, config, dtype=DTYPES[dtype])
        if parts.adapter is not None:
            self.module = merged(self.module, parts.adapter.folder)
        self.module.to(self._device)
        self._tokenizer, self._processor = processors_of(found.folder)
        self._filled_to = most_tokens(config, self._tokenizer)
        added = int(self._tokenizer.num_special_tokens_to_add())
        self._max_tokens = limit_of(self._filled_to, max_length, where=source, least=added + 1)
        with loading(source, "the tokenizer"):
            self._pads = fills_up(config, self._tokenizer)
        with loading(source, "the image processor", got=settings(self._processor)):
            check_pixels(source, self._processor)
            self._scaling = scaling_of(self._processor, self._device)
        self.prepare = partial(pixels_of, self._processor, scaled=self._scaling is None)
        self.name = parts.name
        self.revision = parts.revision(found.commit or identity(found.folder, weights, self._tokenizer))
        self.revision_is_digest = not parts.at_commits
        self.preprocessing = self._describe_preprocessing(settings_digest(found.folder, tokenizer=self._tokenizer))
        self.device = str(self._device)
        self.dtype = dtype
        self.dimension = self._try(source)
        self.parameter_count = parameter_count(self.module)
        self.max_text_length = self._max_tokens
        self.image_size = image_size_of(getattr(vision_settings(config), "image_size", None))
        self.licence = licence_of(found.folder)
        self.faster_texts = self._faster_texts()

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return embed_items(
            self.name, items, self.dimension, embed_texts=self._embed_texts, embed_images=self._embed_images
        )

    def prepare_texts(self, texts: list[str]) -> list[list[int]]:
        """Return the tokens of each text, cut to what the text tower takes."""
        cut: dict[str, Any] = {"truncation": True, "max_length": self._max_tokens, "return_attention_mask": False}
        if self._family.whole_length:
            texts = [text.lower() for text in texts]
        found: list[list[int]] = self._tokenizer(texts, **cut)["input_ids"]
        return [self._filled(tokens) for tokens in found] if self._family.whole_length else found

    def _filled(self, tokens: list[int]) -> list[int]:
        filling = [self._tokenizer.pad_token_id or 0] * (self._filled_to - len(tokens))
        return filling + tokens if self._tokenizer.padding_side == "left" else tokens + filling

    def cut_texts(self, texts: Sequence[str]) -> Bools:
        """Return which texts are longer than the text tower takes, shape ``(len(texts),)``: their end is not read."""
        said = [text.lower() for text in texts] if self._family.whole_length else texts
        return cut_by_tokenizer(self._tokenizer, self._max_tokens, said)

    def text_features(self, texts: list[str]) -> torch.Tensor:
        """Return the features of texts, with gradient where that is on, shape ``(len(texts), dimension)``."""
        return self._features_of_tokens(self.prepare_texts(texts))

    def image_features(self, images: Sequence[Image.Image | Pixels]) -> torch.Tensor:
        """Return the features of images, with gradient where that is on, shape ``(len(images), dimension)``.

        Args:
            images: Decoded images, or what ``prepare`` made of them.
        """
        ready = [self.prepare(image) if isinstance(image, Image.Image) else image for image in images]
        inputs = {name: stacked([one[name] for one in ready], self._device) for name in ready[0]}
        if self._scaling is not None:
            inputs["pixel_values"] = self._scaling(inputs["pixel_values"])
        inputs["pixel_values"] = inputs["pixel_values"].to(self.module.dtype)
        return features_of_images(self.module, inputs)

    def _features_of_tokens(self, tokens: Sequence[list[int]]) -> torch.Tensor:
        if self._pads:
            return self._features_of_padded(tokens)
        rows_by_length: dict[int, list[int]] = {}
        for row, text in enumerate(tokens):
            rows_by_length.setdefault(len(text), []).append(row)
        groups = list(rows_by_length.values())
        found = torch.cat([self._features_of_padded([tokens[row] for row in rows]) for rows in groups])
        return found[np.argsort(np.concatenate(groups))]

    def _features_of_padded(self, tokens: Sequence[list[int]]) -> torch.Tensor:
        ids, there = padded(tokens, self._tokenizer.pad_token_id or 0)
        inputs = {"input_ids": sent(torch.from_numpy(ids), self._device)}
        if self._family.masked:
            inputs["attention_mask"] = sent(torch.from_numpy(there.astype(np.int64)), self._device)
        if self._family.shows_order:
            seen = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=self._device).tril()
            inputs["attention_mask"] = seen.expand(len(ids), 1, -1, -1)
        return features_of_texts(self.module, inputs)

    def save(self, folder: Path) -> None:
        """Write the weights as they are now, with tokenizer and image processor, as a checkpoint of its own."""
        with writing_weights(folder):
            for part in (self.module, self._tokenizer, self._processor):
                part.save_pretrained(folder)

    def _embed_texts(self, texts: list[Any]) -> Any:
        """Embed texts, or what :meth:`prepare_texts` made of them."""
        tokens = self.prepare_texts(texts) if isinstance(texts[0], str) else texts
        if self.faster_texts is not None:
            return self.faster_texts(tokens)
        return self._embed(self._features_of_tokens, tokens)

    def _faster_texts(self) -> Callable[[Sequence[list[int]]], Any] | None:
        """Return what embeds the tokens of texts faster than transformers does; None where nothing does."""
        if not self._pads:
            return None
        said = ["a", "a b", f"a {self._tokenizer.eos_token} b", "b", "c a " * self._max_tokens]
        trial = partial(self.prepare_texts, said)
        return faster_texts(self.module, self._features_of_tokens, trial, batch_size=self._batch_size)

    def _embed_images(self, images: list[Image.Image]) -> Any:
        return self._embed(self.image_features, images)

    def _embed(self, embed: Callable[[Sequence[Any]], torch.Tensor], parts: Sequence[Any]) -> Any:
        size = min(self._batch_size, CPU_BATCH) if self._device.type == "cpu" else self._batch_size
        return embed_batches(embed, list(batches(parts, size)), self._device)

    def _try(self, source: str) -> int:
        """Embed some texts and an image, and return the dimension: a damaged checkpoint is refused before any work."""
        with loading(source, "the tokenizer"):
            tokens = self.prepare_texts([*_TEXTS, _TEXTS[0] * self._max_tokens])
            check_tokens(source, self._tokenizer, tokens, self.module.config.text_config.vocab_size)
        end = getattr(self.module.config.text_config, "eos_token_id", None)
        reads_highest = self._family.reads_highest and end == HIGHEST
        endless = [text for text in tokens if end not in text]
        if self._family.reads_end and not reads_highest and endless:
            raise ModelError(
                "the tokenizer does not put the token after a text that the text tower reads",
                where=source,
                got=f"{endless[0][-1]} after a text of {len(endless[0])} tokens",
                accepted=f"{end}, text_config.eos_token_id",
                hint="add the post-processor to tokenizer.json that puts it there",
            )
        vision = vision_settings(self.module.config).to_dict()
        with torch.inference_mode():
            with loading(source, "the text tower"):
                texts = self._features_of_tokens(tokens)
            ready = self.prepare(TRIAL)
            shapes = {name: array.shape for name, array in ready.items()}
            takes = {name: vision[name] for name in ("image_size", "patch_size", "num_channels") if name in vision}
            with loading(source, "the image tower", got=shapes, accepted=takes):
                images = self.image_features([ready])
        for part, vectors in (("text", texts), ("image", images)):
            wrong = vectors[~vectors.isfinite()]
            if len(wrong):
                raise ModelError(
                    f"the {part} tower returns vectors that are not finite",
                    where=source,
                    got=float(wrong[0]),
                    accepted="finite numbers",
                )
        if texts.shape[1] != images.shape[1]:
            raise ModelError(
                "the towers return vectors of different dimensions",
                where=source,
                got=f"{texts.shape[1]} of texts, {images.shape[1]} of images",
                accepted="one dimension",
            )
        return texts.shape[1]

    def _describe_preprocessing(self, files: str) -> str:
        """Return a digest of all that is not weights: the checkpoint's other files, and what was made of them."""
        said = [self._processor.to_json_string(), json.dumps(self._tokenizer.get_vocab(), sort_keys=True)]
        said += [files, self._kind, str(self._max_tokens), str(self._pads), transformers.__version__]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
