"""``transformers:PATH`` as a judge: a vision-language model that transformers loads."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from mrbench.errors import MissingExtraError, ModelError, MRBenchError, out_of_memory
from mrbench.judge.chat import Message, Reply
from mrbench.models.checkpoint import weights_of
from mrbench.models.checkpoint_folders import find_checkpoint
from mrbench.models.common import files_digest, tensors_digest
from mrbench.models.guard import guarded
from mrbench.models.other_adapter import QWEN_VL
from mrbench.models.plain_text import PlainText
from mrbench.models.pretrained import check_keys, load_error, loading, quiet, resolve_device

_MOST_TOKENS = 512
_GREEDY: dict[str, Any] = {"do_sample": False, "num_beams": 1, "temperature": None, "top_p": None, "top_k": None}


class LocalChat:
    """A vision-language model of transformers that answers greedily, one conversation at a time.

    Weights come from safetensors alone. The same weights, messages and versions give the same answer.

    Args:
        source: A folder, or ``ORG/NAME[@REVISION]`` of the hub.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        trust_remote_code: Whether code that comes with the weights may run.

    Raises:
        InputError: No such folder or device.
        ModelError: A missing or unexpected key, code that nobody allowed, no chat template, or anything else that
            transformers raises.
    """

    sees_photos, concurrency = True, 1

    def __init__(self, source: str, *, device: str = "auto", trust_remote_code: bool = False) -> None:
        self._device = resolve_device(device)
        found = find_checkpoint(source)
        folder = found.folder
        options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
        digest = hashlib.sha256(f"{tensors_digest(weights_of(folder))} {files_digest(folder)}".encode()).hexdigest()
        self._source = str(folder)
        with guarded(self._source, trusted=trust_remote_code):
            self._network = _network(self._source, options).to(self._device)
            with loading(self._source, "the processor"):
                self._prompt = _prompt(folder, self._network.config.model_type, options)
        self.name = f"transformers:{found.name}@{(found.commit or digest)[:12]}"
        self.versions = {
            "model": found.name,
            "revision": found.commit or f"sha256:{digest[:16]}",
            "dtype": str(self._network.dtype).removeprefix("torch."),
            "transformers": transformers.__version__,
        }
        self._stopped = threading.Event()

    def reply(self, messages: Sequence[Message]) -> Reply:
        """Return the answer to the last message.

        Raises:
            ModelError: Anything that transformers raises.
        """
        try:
            with quiet(), torch.inference_mode():
                inputs = self._prompt(messages).to(self._device)
                made = self._network.generate(
                    **inputs,
                    **_GREEDY,
                    max_new_tokens=_MOST_TOKENS,
                    stopping_criteria=transformers.StoppingCriteriaList([self._gives_up]),
                )
        except MRBenchError:
            raise
        except Exception as error:  # transformers raises whatever it likes
            if out_of_memory(error):
                raise
            raise load_error(self._source, error, "a question") from error
        read = int(inputs["input_ids"].shape[1])
        written = made[0][read:]
        return Reply(self._prompt.tokenizer.decode(written, skip_special_tokens=True), read, len(written))

    def stop(self, stopped: bool = True) -> None:
        """Have the model stop in the middle of an answer, or allow it to answer again."""
        (self._stopped.set if stopped else self._stopped.clear)()

    def _gives_up(self, ids: Any, _: Any, **__: Any) -> Any:
        return torch.full((ids.shape[0],), self._stopped.is_set(), device=ids.device)


class _Prompt:
    """Makes the inputs of a network from messages, with the processor of the checkpoint."""

    def __init__(self, processor: Any) -> None:
        self._processor, self.tokenizer = processor, processor.tokenizer
        self._plain = PlainText(self.tokenizer)

    def __call__(self, messages: Sequence[Message]) -> Any:
        """Return the inputs. What a system message says goes before the first other one: not all models have such."""
        images = [one.image for one in messages if one.image is not None]
        return self._inputs(self._written(messages), images)

    def _inputs(self, text: str, images: list[Any]) -> Any:
        return self._processor(text=[text], images=images or None, return_tensors="pt")

    def _written(self, messages: Sequence[Message]) -> str:
        system = "".join(f"{one.text}\n\n" for one in messages if one.role == "system")
        said = []
        for one in (one for one in messages if one.role != "system"):
            content: list[dict[str, str]] = [] if one.image is None else [{"type": "image"}]
            content.append({"type": "text", "text": self._plain(system + one.text)})
            system = ""
            said.append({"role": one.role, "content": content})
        text: str = self._processor.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return text


class _GridPrompt(_Prompt):
    """The same for the Qwen2-VL kind, from the tokenizer and the image processor alone."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        source = str(folder)
        auto: Any = transformers.AutoImageProcessor
        self._images = auto.from_pretrained(source, backend="pil", **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
        apart = folder / "chat_template.json"
        if not tokenizer.chat_template and apart.is_file():
            tokenizer.chat_template = json.loads(apart.read_text(encoding="utf-8"))["chat_template"]
        self._processor = self.tokenizer = tokenizer
        self._plain = PlainText(tokenizer)
        self._token = "<|image_pad|>"  # noqa: S105 - no password

    def _inputs(self, text: str, images: list[Any]) -> Any:
        found = self._images(images=images, return_tensors="pt") if images else {}
        before, *after = text.split(self._token)
        sizes = [int(grid.prod()) // self._images.merge_size**2 for grid in found.get("image_grid_thw", ())]
        if len(after) != len(sizes):
            raise ModelError("the chat template does not take a picture", got=len(after), accepted=len(sizes))
        text = before + "".join(self._token * size + rest for size, rest in zip(sizes, after, strict=True))
        inputs = self.tokenizer([text], return_tensors="pt", add_special_tokens=False)
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == self.tokenizer.convert_tokens_to_ids(self._token)).int()
        inputs.update(found)
        return inputs


def _network(source: str, options: dict[str, Any]) -> Any:
    auto: Any = transformers.AutoModelForImageTextToText
    with loading(source):
        network, info = auto.from_pretrained(
            source,
            dtype="auto",
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # so that the keys are named below
            output_loading_info=True,
            **options,
        )
    mismatched = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
    check_keys(source, info["missing_keys"], info["unexpected_keys"], mismatched)
    return network.eval()


def _prompt(folder: Path, kind: str, options: dict[str, Any]) -> _Prompt:
    if kind in QWEN_VL:  # put together without their whole processor
        prompt: _Prompt = _GridPrompt(folder, options)
    else:
        auto: Any = transformers.AutoProcessor
        try:
            prompt = _Prompt(auto.from_pretrained(str(folder), **options))
        except ImportError as error:
            said = next((line for line in str(error).splitlines() if line.strip()), "a library is missing")
            raise MissingExtraError(
                said, where=folder, hint="pip install torchvision, of the same build as torch"
            ) from error
    if not prompt._processor.chat_template:
        accepted = "chat_template in tokenizer_config.json, or chat_template.jinja"
        raise ModelError("the checkpoint has no chat template", where=folder, accepted=accepted)
    return prompt
