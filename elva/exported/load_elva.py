"""The loader of an exported ELVA checkpoint: embeds texts, pictures, and pictures with a text.

Needs torch, transformers, numpy and pillow, and nothing else. Copy this file with the folder that it stands in:

    from load_elva import Embedder
    embedder = Embedder("FOLDER")
    vectors = embedder.embed(["two red dogs", Image.open("photo.jpg"), ("the same at night", Image.open("photo.jpg"))])
"""

import hashlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, DynamicCache

RET, IMAGE, START, END = "[RET]", "<|image_pad|>", "<|vision_start|>", "<|vision_end|>"


class Embedder(torch.nn.Module):
    """The checkpoint: the last hidden state at ``[RET]``, of unit length, after the prompt or after a summary.

    Where ``export.json`` says ``prompt``, ``[RET]`` follows the prompt at once. Where it says ``summary``, the model
    first writes one: the likeliest, or several drawn ones, whose embeddings are averaged.
    """

    def __init__(self, folder: Any, device: str = "cpu") -> None:
        super().__init__()
        self.said = json.loads((Path(folder) / "export.json").read_text(encoding="utf-8"))
        loader: Any = AutoModelForImageTextToText
        self.network = loader.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        images: Any = AutoImageProcessor
        self.processor = images.from_pretrained(folder, backend="pil")
        vocabulary = self.tokenizer.get_vocab()
        self.ret, self.image, self.start, self.end = (vocabulary[token] for token in (RET, IMAGE, START, END))
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder} - {self.ret}
        unused = range(len(self.tokenizer), self.network.get_output_embeddings().weight.shape[0])
        self.forbidden = torch.tensor([*sorted(special), *unused], device=device)

    @torch.no_grad()
    def embed(self, items: Any, instruction: str = "", seed: int = 0) -> Any:
        """Return unit vectors, shape (len(items), dimension): items are texts, pictures, or pairs of both.

        The instruction is for queries; candidates have none. The seed is of summaries that are drawn.
        """
        return np.stack([self.one(*parts(item), instruction, seed).cpu().numpy() for item in items])

    def one(self, text: Any, picture: Any, instruction: str, seed: int) -> torch.Tensor:
        """Return the vector of one item."""
        if self.said["embedding"] == "prompt":
            hidden, _, _ = self._prompt(text, picture, instruction, "word", [self.ret])
            return unit(hidden)
        samples = self.said["samples"]
        noise = None if samples == 1 else seeded(seed, *content(text, picture))
        return unit(self._summaries(text, picture, instruction, samples, noise).mean(0))

    def _prompt(self, text: Any, picture: Any, instruction: str, ask: str, more: list[int], copies: int = 1) -> Any:
        """Return the last hidden state of a prompt, its keys and values for ``copies`` rows, and the next position."""
        device = self.network.device
        images: dict[str, Any] = {}
        tokens = 0
        if picture is not None:
            pixels = self.processor(images=[picture.convert("RGB")], return_tensors="pt")
            images = {name: pixels[name].to(device) for name in ("pixel_values", "image_grid_thw")}
            tokens = int(pixels["image_grid_thw"].prod()) // self.processor.merge_size**2
        ids = torch.tensor([[*self._ids(text, instruction, ask, tokens), *more]], device=device)
        kinds, mask = (ids == self.image).int(), torch.ones_like(ids)
        grid = images.get("image_grid_thw")
        backbone = self.network.model
        at, _ = backbone.get_rope_index(
            input_ids=ids, mm_token_type_ids=kinds, image_grid_thw=grid, attention_mask=mask
        )
        memory = DynamicCache()
        found = backbone(input_ids=ids, attention_mask=mask, position_ids=at, **self._cached(memory), **images)
        memory.batch_repeat_interleave(copies)
        return found.last_hidden_state[0, -1], memory, int(at.max()) + 1

    def _cached(self, memory: DynamicCache) -> dict[str, Any]:
        """Return the argument that hands over keys and values: transformers renamed it in version 5.24."""
        known = inspect.signature(self.network.model.forward).parameters
        return {"cache" if "cache" in known else "past_key_values": memory}

    def _summaries(self, text: Any, picture: Any, instruction: str, number: int, noise: Any) -> torch.Tensor:
        """Return the unit vectors at the ends of summaries, shape (number, dimension)."""
        last, memory, position = self._prompt(text, picture, instruction, "summary", [], number)
        hidden = last.expand(number, -1)
        found, alive = torch.zeros_like(hidden), torch.ones(number, dtype=torch.bool, device=hidden.device)
        ends = torch.full_like(alive.long(), self.ret)
        for step in range(self.said["max_summary"] + 1):
            drawn = self._draw(hidden, noise) if step < self.said["max_summary"] else ends
            tokens = torch.where(alive, drawn, ends)
            at = torch.full((3, number, 1), position + step, device=hidden.device)
            out = self.network.model(input_ids=tokens[:, None], position_ids=at, **self._cached(memory))
            hidden = out.last_hidden_state[:, -1]
            ended = alive & (tokens == self.ret)
            found = torch.where(ended[:, None], hidden, found)
            alive = alive & ~ended
            if not alive.any():
                break
        return unit(found)

    def _draw(self, hidden: torch.Tensor, noise: Any) -> torch.Tensor:
        scores = self.network.get_output_embeddings()(hidden).float().index_fill(-1, self.forbidden, -torch.inf)
        if noise is not None:
            drawn = torch.empty(scores.shape).exponential_(generator=noise).to(scores.device)
            scores = scores - drawn.clamp(min=torch.finfo(torch.float32).tiny).log()
        found: torch.Tensor = scores.argmax(-1)
        return found

    def _ids(self, text: Any, instruction: str, ask: str, picture: int) -> list[int]:
        """Return the tokens of a prompt, piece by piece: no text becomes a special token."""
        prompt = self.said["prompt"]
        ids: list[int] = []
        for piece in filter(None, re.split(r"(\{\w+\})", prompt["template"])):
            if piece == "{image}":
                ids += [self.start, *[self.image] * picture, self.end] if picture else []
            elif piece == "{instruction}":
                ids += self._plain(f"{instruction}\n") if instruction and prompt["instructions"] else []
            elif piece == "{text}":
                ids += self._plain(text)[: prompt["max_text"]] if text else []
            elif piece == "{ask}":
                ids += self._plain(prompt[ask])
            else:
                ids += self.tokenizer(piece, add_special_tokens=False)["input_ids"]
        return ids

    def _plain(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return found


def parts(item: Any) -> tuple[Any, Any]:
    """Return text and picture of an item, None for what it lacks."""
    if isinstance(item, str):
        return item, None
    return item if isinstance(item, tuple) else (None, item)


def unit(rows: torch.Tensor) -> torch.Tensor:
    """Return vectors of unit length."""
    found: torch.Tensor = torch.nn.functional.normalize(rows.float(), dim=-1)
    return found


def seeded(*numbers: int) -> torch.Generator:
    """Return a generator whose stream is a function of these numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator().manual_seed(seed)


def content(text: Any, picture: Any) -> tuple[int, int]:
    """Return two numbers that tell what an item shows and says."""
    digest = hashlib.blake2b(f"{text}\0".encode(), digest_size=16)
    if picture is not None:
        digest.update(repr(picture.size).encode() + picture.convert("RGB").tobytes())
    return int.from_bytes(digest.digest()[:8]), int.from_bytes(digest.digest()[8:])
