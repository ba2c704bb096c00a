"""``st:ID_OR_PATH``: models of sentence-transformers, for texts, images, or both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch
import transformers
from PIL import Image
from sentence_transformers import SentenceTransformer

from mrbench.arrays import Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint_folders import check_no_pickles, find_whole_checkpoint
from mrbench.models.common import files_digest, joint_digest, weights_digest
from mrbench.models.facts import image_size_of, licence_of, parameter_count
from mrbench.models.guard import guarded
from mrbench.models.hub import Checkpoint
from mrbench.models.other_adapter import check_adapter
from mrbench.models.pretrained import check_finite, check_keys, loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.records import Modality
from mrbench.spec_options import check_options, split_options, variant_of, whole_number

OPTIONS = {
    "dimension": "LENGTH to cut vectors to, for models trained so (Matryoshka)",
    "query": "PROMPT of queries, with {instruction}, instead of the model's own",
    "candidate": "PROMPT of candidates, instead of the model's own",
}
_CPU_BATCH = 32  # as in the library
_FEW = 8  # tokens that texts are cut at on trial
_HEADS = r"(^|\.)(lm_head|cls|classifier|score|qa_outputs|pooler|vocab_\w+|mlm_\w+)(\.|$)"
"""Weights of other tasks, which an embedder does not use."""
_TRIAL = Image.new("RGB", (64, 48), (200, 120, 40))


class SentenceTransformerModel:
    """What ``encode_query`` and ``encode_document`` return, with the model's own prompts.

    The instruction is ignored unless the option ``query`` has ``{instruction}``.

    Picture and text together are one input where the model takes such (picture first); where it takes both alone, as
    CLIP does, they are the sum of the two vectors that the model returns, as in UniIR and MTEB. A text is passed as a
    text, also where it is the name of a file or a URL of a picture, which the library would open.

    Args:
        spec: A folder, or ``ORG/NAME`` or ``ORG/NAME@REVISION``, with options as in :data:`OPTIONS` after a question
            mark.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 32.
        dtype: ``float32``, ``float16`` or ``bfloat16``; None takes that of the weights.
        max_length: Tokens of a text and its prompt at most; None takes what the model's settings say.
        trust_remote_code: Whether code that comes with the model may run.

    Raises:
        InputError: No such folder, an unknown device, dtype or option, or a length that the model does not take.
        ModelError: No ``modules.json``, weights as pickles alone, a missing or unexpected key, code that nobody
            allowed, or anything else that the library raises.

    Source: Reimers and Gurevych, Sentence-BERT (arXiv 1908.10084); Wei et al., UniIR (arXiv 2311.17136) for the sum.
    """

    def __init__(
        self,
        spec: str,
        *,
        seed: int = 0,
        device: str = "auto",
        batch_size: int = 1024,
        dtype: str | None = None,
        max_length: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        source, options = split_options(spec)
        check_options(options, OPTIONS, where="st")
        on = resolve_device(device)
        snapshot = find_whole_checkpoint(source)
        foreign = check_modules(snapshot, trust_remote_code)
        if set(re.findall(r"\{\w*\}", options.get("query", ""))) - {"{instruction}"}:
            accepted = "a text, which may have {instruction}"
            raise InputError("malformed option query", where="st", got=options["query"], accepted=accepted)
        cut = whole_number(options, "dimension")
        with loading(source), guarded(source, trusted=trust_remote_code) as code, checked_keys(source) as self._unset:
            self.module = SentenceTransformer(
                str(snapshot.folder),
                device=str(on),
                local_files_only=True,
                trust_remote_code=trust_remote_code,
                truncate_dim=cut,
                model_kwargs={"use_safetensors": True} | ({"dtype": dtype_of(dtype)} if dtype else {}),
            )
        if max_length is not None:
            limit_texts(self.module, max_length, where=source)
        self.variant = variant_of(options)
        self._prompts = {name: options.get(name) for name in ("query", "candidate")}
        self._batch_size = min(batch_size, _CPU_BATCH) if on.type == "cpu" else batch_size
        self.name, self.device = snapshot.name, str(on)
        self.dtype = str(self.module.dtype or "float32").removeprefix("torch.")
        self.remote_code, self.template = code.ran or bool(foreign), self._describe_prompts()
        self.remark = similarity_remark(self.module.similarity_fn_name)
        self.template += f"; {self.remark}" if self.remark else ""
        self.image_size = _image_size(self.module)
        weights = weights_digest(sorted(snapshot.folder.rglob("*.safetensors")))
        self.revision = snapshot.commit or joint_digest(weights, files_digest(snapshot.folder))
        self.revision_is_digest = snapshot.commit is None
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(snapshot.folder)
        self.max_text_length = self.module.max_seq_length
        self.modalities: frozenset[Modality] = modalities_of(self.module)
        self.additive = "image,text" in self.modalities and not self.module.supports(("image", "text"))
        self.symmetric = self._is_symmetric()
        self.preprocessing = self._describe_preprocessing(snapshot, weights, cut, max_length)
        self.dimension = self._try(source, cut)

    @classmethod
    def around(
        cls, module: SentenceTransformer, *, name: str, batch_size: int = _CPU_BATCH
    ) -> SentenceTransformerModel:
        """Return a model that is in memory, as one in training is; its revision says nothing of its weights.

        Args:
            module: The model of the library, with its prompts.
            name: What to call it.
            batch_size: Items per forward pass at most.
        """
        self = cls.__new__(cls)
        self.module, self.name, self.revision, self.remote_code = module, name, "in memory", False
        self._unset = []
        self._prompts, self._batch_size = {"query": None, "candidate": None}, batch_size
        self.device = str(module.device)
        self.dtype = str(module.dtype or "float32").removeprefix("torch.")
        self.modalities = modalities_of(module)
        self.additive = "image,text" in self.modalities and not module.supports(("image", "text"))
        self.symmetric = self._is_symmetric()
        self.dimension = self._try(name, None)
        return self

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        prompt = self._prompts["query"]
        if prompt is not None:
            prompt = prompt.replace("{instruction}", instruction)
        return self._embed(items, self.module.encode_query, prompt)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return self._embed(items, self.module.encode_document, self._prompts["candidate"])

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the vectors of texts without a prompt, with gradient where that is on; one pass."""
        inputs = self.module.preprocess(list(texts))
        inputs = {name: value.to(self.device) if torch.is_tensor(value) else value for name, value in inputs.items()}
        found: torch.Tensor = self.module(inputs)["sentence_embedding"]
        return found

    def _embed(self, items: Sequence[Item], encode: Callable[..., Any], prompt: str | None) -> Embeddings:
        """Embed the items of each kind together: the library takes no mixture."""
        found = np.zeros((len(items), self.dimension), dtype=np.float32)
        inputs: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = {}
        for row, item in enumerate(items):
            for one in self._inputs(item):
                inputs.setdefault(tuple(one), []).append((row, one))
        for parts in inputs.values():
            vectors = encode(
                [one for _, one in parts], prompt=prompt, batch_size=self._batch_size, show_progress_bar=False
            )
            found[[row for row, _ in parts]] += np.asarray(vectors, dtype=np.float32)
        return found

    def _inputs(self, item: Item) -> list[dict[str, Any]]:
        """Return what an item is to the library: one input, or two that are added up."""
        parts: dict[str, Any] = {} if item.image is None else {"image": item.image}
        parts |= {} if item.text is None else {"text": item.text}
        if ",".join(parts) not in self.modalities:
            accepted = "; ".join(sorted(self.modalities))
            raise ModelError(
                "the model takes no such item", where=self.name, got=" and ".join(parts), accepted=accepted
            )
        return [{name: part} for name, part in parts.items()] if self.additive else [parts]

    def _is_symmetric(self) -> bool:
        """Return whether queries and candidates are embedded alike: no prompt and no route tells them apart."""
        said = {**self.module.prompts, **{name: text for name, text in self._prompts.items() if text is not None}}
        router = any(type(module).__name__ in ("Router", "Asym") for module in self.module)
        return not router and not any(said.values())

    def _describe_prompts(self) -> str:
        """Return what stands before the text of a query and of a candidate."""
        own = {"query": ("query",), "candidate": ("document", "passage", "corpus")}
        said = []
        for side, names in own.items():
            default = next((self.module.prompts[name] for name in names if self.module.prompts.get(name)), "")
            asked = self._prompts[side]
            said.append(f"{side}: {default if asked is None else asked}{{text}}")
        return "; ".join(said)

    def _try(self, source: str, cut: int | None) -> int:
        """Embed an item of each kind, and return the dimension."""
        lengths = {}
        trials: dict[Modality, Item] = {
            "text": Item("a photo of a dog"),
            "image": Item(image=_TRIAL),
            "image,text": Item("a photo of a dog", _TRIAL),
        }
        for modality in sorted(self.modalities):
            with loading(source, f"a trial with {modality.replace(',', ' and ')}"):
                vectors = [self.module.encode_document([one])[0] for one in self._inputs(trials[modality])]
            for vector in vectors:
                check_finite(vector, self._unset, source)
            lengths[modality] = len(vectors[0])
        if len(set(lengths.values())) > 1:
            raise ModelError("the vectors differ in dimension", where=source, got=lengths, accepted="one dimension")
        length: int = next(iter(lengths.values()))
        if cut is not None and length != cut:
            raise InputError("the model has fewer dimensions", where=source, got=cut, accepted=f"1 to {length}")
        return length

    def _describe_preprocessing(self, snapshot: Checkpoint, weights: str, cut: int | None, cut_at: int | None) -> str:
        """Return all that decides a vector beside the weights: files, code, options, libraries."""
        files = sorted(snapshot.folder.rglob("*.py")) if self.remote_code else []
        processor = getattr(self.module, "processor", None)
        parts = [files_digest(snapshot.folder), weights, weights_digest(files), str(cut), json.dumps(self._prompts)]
        parts += [type(getattr(processor, "image_processor", processor)).__name__]
        parts += [] if cut_at is None else [f"{cut_at} tokens"]
        parts += [sentence_transformers.__version__, transformers.__version__]
        return " ".join(parts)


def similarity_remark(name: str | None) -> str:
    """Return what to say of a model that was trained for another similarity than the cosine; empty otherwise.

    >>> similarity_remark("dot")
    'scored by cosine, while its own similarity is dot: ranks differ unless its vectors have length 1'
    """
    if name in (None, "cosine"):
        return ""
    return f"scored by cosine, while its own similarity is {name}: ranks differ unless its vectors have length 1"


def dtype_of(name: str) -> torch.dtype:
    """Return a number format of torch by its name."""
    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name not in known:
        raise InputError("unknown dtype", where="dtype", got=name, accepted=", ".join(known))
    return known[name]


def modalities_of(model: Any) -> frozenset[Modality]:
    """Return what a model of the library takes."""
    found: set[Modality] = {name for name in ("text", "image") if model.supports(name)}
    if len(found) == 2:
        found.add("image,text")  # in one input, or as a sum
    return frozenset(found)


def _image_size(module: SentenceTransformer) -> str:
    """Return the size that pictures are scaled or cut to, empty where there is none or it varies."""
    processor = getattr(module[0], "processor", None)
    images = getattr(processor, "image_processor", None)
    for size in (getattr(images, "crop_size", None), getattr(images, "size", None)):
        sides = dict(size or {})
        if {"height", "width"} <= sides.keys() and all(isinstance(sides[one], int) for one in ("height", "width")):
            return image_size_of((sides["height"], sides["width"]))
    return ""


def check_modules(snapshot: Checkpoint, trusted: bool, known: Sequence[str] = ()) -> list[str]:
    """Refuse a folder that is no model of the library, or whose modules or activations are code of its own.

    Args:
        snapshot: The folder.
        trusted: Whether its code may run.
        known: Names of modules that the library replaces by its own.

    Returns:
        Names of modules and activations that are neither the library's nor of ``torch.nn``.
    """
    check_adapter("late" if known else "st", snapshot.folder)
    path = snapshot.folder / "modules.json"
    if not path.is_file():
        raise ModelError(
            "not a model of sentence-transformers: without modules.json its pooling would be guessed",
            where=snapshot.folder,
            accepted="a folder that SentenceTransformer.save wrote",
            hint="for CLIP and SigLIP of transformers use hf:PATH",
        )
    try:
        types = [str(module["type"]) for module in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ModelError(
            "malformed modules.json",
            where=path,
            got=f"{type(error).__name__}: {error}",
            accepted="a list of objects with idx, name, path and type",
        ) from error
    foreign = [name for name in types if not name.startswith("sentence_transformers.") and name not in known]
    activations = dict(_foreign_activations(snapshot))
    if (foreign or activations) and not trusted:
        raise ModelError(
            "the model comes with code of its own, which nobody allowed to run",
            where=path if foreign else next(iter(activations.values())),
            got=", ".join([*foreign, *activations]),
            hint="read the code, then --trust-remote-code",
        )
    check_no_pickles(snapshot.folder)
    return [*foreign, *activations]


def _foreign_activations(snapshot: Checkpoint) -> Iterator[tuple[str, Path]]:
    """Yield the activations of dense layers that are not of ``torch.nn``, each with the file that names it.

    Without leave the library takes Tanh in their place, with a warning. Names without a dot are those of transformers.
    """
    for path in sorted(snapshot.folder.rglob("config.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):  # the library says what is wrong with it
            continue
        name = said.get("activation_function") if isinstance(said, dict) else None
        if isinstance(name, str) and "." in name and not name.startswith("torch.nn."):
            yield name, path


def limit_texts(module: Any, tokens: int, *, where: str) -> None:
    """Have a model of the library cut texts at a number of tokens.

    A model may take more than its settings say. One text of that length is embedded to find out.

    Raises:
        InputError: It does not cut them there, or it does not take so many.
    """
    own = module.max_seq_length
    if not _cuts_texts(module):
        raise InputError(
            "the model takes no --max-length: its texts are cut elsewhere",
            where=where,
            got=tokens,
            hint="leave out --max-length",
        )
    module.max_seq_length = tokens
    if own is None or tokens > own:
        try:
            module.encode(["dog " * tokens], show_progress_bar=False)
        except (IndexError, RuntimeError) as error:
            what, accepted = "the model does not take so long texts", f"{own}, as its settings say" if own else None
            raise InputError(what, where=where, got=tokens, accepted=accepted) from error


def _cuts_texts(module: Any) -> bool:
    """Return whether a model cuts texts of both sides where it is told to."""
    texts = ["dog " * 4 * _FEW + last for last in ("dog", "cats")]
    try:
        module.max_seq_length = _FEW
    except AttributeError:  # a property that nobody sets
        return False
    encoders = (module.encode_query, module.encode_document)
    return all(np.array_equal(*encode(texts, prompt="", show_progress_bar=False)) for encode in encoders)


@contextmanager
def checked_keys(source: str, *, unexpected_too: bool = True) -> Iterator[list[str]]:
    """Have transformers tell what it loads inside of a block, and raise where keys are missing or unexpected.

    The library asks transformers for the network alone, and a network of which a part stays random runs all the same.
    Weights of other tasks may be missing. They become NaN, so that the vectors of a model that does use them are NaN
    too, and not random.

    Yields:
        A list that holds the keys of these weights after the block.

    Args:
        source: The model, for messages.
        unexpected_too: Whether weights that the network has no place for are an error.
    """
    original = transformers.PreTrainedModel.from_pretrained.__func__  # type: ignore[attr-defined]
    told: list[tuple[Any, dict[str, Any]]] = []
    unset: list[str] = []

    def from_pretrained(cls: type, *args: Any, **options: Any) -> Any:
        model, info = original(cls, *args, **(options | {"output_loading_info": True}))
        told.append((model, info))
        return (model, info) if options.get("output_loading_info") else model

    transformers.PreTrainedModel.from_pretrained = classmethod(from_pretrained)  # type: ignore[assignment]
    try:
        yield unset
    finally:
        transformers.PreTrainedModel.from_pretrained = classmethod(original)  # type: ignore[assignment]
    for model, info in told:
        missing, unexpected = (
            [key for key in info[name] if not re.search(_HEADS, key)] for name in ("missing_keys", "unexpected_keys")
        )
        mismatched = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
        check_keys(source, missing, unexpected if unexpected_too else (), mismatched)
        unset += _spoilt(model, [key for key in info["missing_keys"] if key not in missing])


def _spoilt(model: Any, keys: Sequence[str]) -> list[str]:
    """Fill weights of a model with NaN, and return their keys."""
    weights = dict(model.named_parameters())
    spoilt = [key for key in keys if key in weights and weights[key].is_floating_point()]
    with torch.no_grad():
        for key in spoilt:
            weights[key].fill_(torch.nan)
    return spoilt
