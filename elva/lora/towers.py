"""A dual encoder whose towers train through low-rank adapters (Hu et al., LoRA, arXiv 2106.09685)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import Tensor
from torch.nn import Linear, MultiheadAttention
from torch.utils.checkpoint import checkpoint

from elva.model import no_future_warnings, seeded_globally
from elva.processes import Processes
from elva.tuning.data import Split
from elva.tuning.read import Picture
from elva.tuning.trainable import Noise
from mrbench.arrays import Embeddings
from mrbench.benchmark.images import decode
from mrbench.errors import ModelError
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.pixels import Pixels
from mrbench.records import Modality

PIXEL_BYTES = 2 << 30  # of prepared pictures that are remembered


class Towers:
    """Adapters on the linear layers of an encoder: :class:`elva.tuning.trainable.Trainable`.

    A pass is made in chunks, of which only the one at work holds its activations; the gradient is that of one pass. Of
    several processes each embeds its share of the items, and all have the gradient of the whole batch.

    Args:
        encoder: A dual encoder, or a text encoder with ``module`` and ``text_features``; its own weights do not train.
        rank: Rank of the adapters.
        chunk: Items of a pass, at most.
        seed: Of the adapters' first weights; may be set.
        processes: Who else trains.
    """

    def __init__(
        self, encoder: Any, *, rank: int = 8, chunk: int = 64, seed: int = 0, processes: Processes | None = None
    ) -> None:
        self._encoder, self._chunk, self.seed = encoder, chunk, seed
        self._processes = processes or Processes()
        self.config = _config(encoder, rank)
        with no_future_warnings():
            self._adapted: Any = get_peft_model(encoder.module, self.config)
        self._pixels: OrderedDict[object, Pixels] = OrderedDict()
        self._bytes = 0

    def reset(self) -> Towers:
        """Make the adapters anew: they change nothing yet."""
        with seeded_globally(self.seed):
            for module in self._adapted.modules():
                if isinstance(module, LoraLayer):
                    module.reset_lora_parameters("default", True)  # type: ignore[no-untyped-call]
        return self

    def weights(self) -> dict[str, Tensor]:
        """Return the adapters' weights."""
        return {name: weight for name, weight in self._adapted.named_parameters() if weight.requires_grad}

    def outputs(self, split: Split, part: Modality, rows: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the projected features of rows of the table of a part; nothing is left out at random."""
        distinct, places = torch.unique(rows, return_inverse=True)
        rank, world = self._processes.rank, self._processes.world
        mine = distinct[rank::world]
        features = self._features(split, part, mine if len(mine) else distinct[:1])
        if world > 1:
            everyone = self._processes.gather_shares(features.detach(), len(distinct))
            own = torch.arange(rank, len(distinct), world, device=features.device)
            features = everyone.index_copy(0, own, features[: len(own)])
        return features[places.to(features.device)]

    def frozen(self, split: Split, part: Modality, rows: Tensor) -> Tensor:
        """Return the same without the adapters."""
        with torch.no_grad(), self._adapted.disable_adapter():
            return self.outputs(split, part, rows)

    def export(self) -> dict[str, Embeddings]:
        """Return the adapters' weights by the names that PEFT writes."""
        held = get_peft_model_state_dict(self._adapted, save_embedding_layers=False)
        return {name: tensor.detach().float().cpu().numpy().copy() for name, tensor in held.items()}

    def share_gradients(self) -> None:
        """Give every process the sum of the gradients of all."""
        self._processes.add_gradients(self.weights().values())  # type: ignore[arg-type]

    def _features(self, split: Split, part: Modality, rows: Tensor) -> Tensor:
        items = split.tables[part][rows.numpy()].tolist()
        chunks = [items[start : start + self._chunk] for start in range(0, len(items), self._chunk)]
        run = self._run_texts if part == "text" else self._run_images
        if len(chunks) == 1 or not torch.is_grad_enabled():
            return torch.cat([run(chunk) for chunk in chunks])
        again = (checkpoint(run, chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks)
        return torch.cat(list(again))

    def _run_texts(self, texts: list[str]) -> Tensor:
        found: Tensor = self._encoder.text_features(texts)
        return found.float()

    def _run_images(self, pictures: Sequence[Picture]) -> Tensor:
        found: Tensor = self._encoder.image_features([self._prepared(picture) for picture in pictures])
        return found.float()

    def _prepared(self, picture: Picture) -> Pixels:
        key = picture.image.sha256 or id(picture)
        if key not in self._pixels:
            pixels = self._encoder.prepare(decode(picture.image, where=picture.record_id))
            self._pixels[key] = pixels
            self._bytes += sum(array.nbytes for array in pixels.values())
            while self._bytes > PIXEL_BYTES and len(self._pixels) > 1:
                self._bytes -= sum(array.nbytes for array in self._pixels.popitem(last=False)[1].values())
        return self._pixels[key]


def temperature(encoder: DualEncoder) -> float | None:
    """Return the temperature that a dual encoder was trained at, at least 0.01; None where it has none."""
    scale = getattr(encoder.module, "logit_scale", None)
    return None if scale is None else min(1.0, max(0.01, float(torch.exp(-scale.detach()))))


def _config(encoder: Any, rank: int) -> LoraConfig:
    """Return adapters for all linear layers but those inside torch's attention, which does not call them."""
    inside = [name for name, module in encoder.module.named_modules() if isinstance(module, MultiheadAttention)]
    found = [name for name, module in encoder.module.named_modules() if type(module) is Linear]
    outside = [name for name in found if not any(name.startswith(f"{outer}.") for outer in inside)]
    if not outside:
        raise ModelError(
            "the model has no linear layer to train",
            where=encoder.name,
            accepted="hf: CLIP, SigLIP ...",
            hint="--head in the place of --lora takes any model",
        )
    names = sorted({re.sub(r"\d+", r"\\d+", re.escape(name)) for name in outside})  # layers by any number
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="|".join(names))
