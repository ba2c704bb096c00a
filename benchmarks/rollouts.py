"""Rollouts per second and peak memory: shared rows of elva.rollouts against `generate` per rollout and TRL.

    python benchmarks/rollouts.py                       # a small model on the CPU
    python benchmarks/rollouts.py --size 2b --batch 16  # the shape of Qwen2-VL-2B, random weights, bfloat16, on a GPU

All ways sample G summaries of every prompt, run them under gradient to log-probabilities of their tokens, and take a
step of AdamW on the language model. Ours and the plain loops start from pixels and return embeddings too. TRL's
GRPOTrainer takes pictures only with a processor that needs torchvision: it is measured on text, beside ours.
Every way runs in a process of its own, for the peak of its memory.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.utils.logging import set_verbosity_error

from elva.rollouts import sample, teacher_forced

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "text": {"hidden_size": 128, "intermediate_size": 320, "num_hidden_layers": 4, "num_attention_heads": 4}
        | {"num_key_value_heads": 4, "vocab_size": 300},
        "vision": {"depth": 3, "embed_dim": 128, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2, "patch_size": 8},
        "sections": [4, 6, 6],
        "side": 64,
    },
    "2b": {
        "text": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12}
        | {"num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True},
        "vision": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4}
        | {"patch_size": 14},
        "sections": [16, 24, 24],
        "side": 336,
    },
}
SPECIAL = ["bos", "eos", "pad", "image", "video", "start", "end", "ret"]  # the last ids of the vocabulary


def build(size: str, device: str) -> tuple[Any, dict[str, int]]:
    shape = SIZES[size]
    vocabulary = shape["text"]["vocab_size"]
    ids = {name: vocabulary - len(SPECIAL) + n for n, name in enumerate(SPECIAL)}
    rope = {"rope_type": "default", "mrope_section": shape["sections"], "rope_theta": 10000.0}
    ends = {f"{name}_token_id": ids[name] for name in ("bos", "eos", "pad")}
    config = Qwen2VLConfig(
        text_config=shape["text"] | ends | {"rope_parameters": rope, "max_position_embeddings": 4096},
        vision_config=shape["vision"] | {"spatial_merge_size": 2, "temporal_patch_size": 2},
        image_token_id=ids["image"],
        video_token_id=ids["video"],
        vision_start_token_id=ids["start"],
        vision_end_token_id=ids["end"],
    )
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model = Qwen2VLForConditionalGeneration._from_config(config, dtype=dtype)
    model.model.visual.requires_grad_(False)
    return model.eval(), ids


def inputs(model: Any, ids: dict[str, int], args: argparse.Namespace) -> dict[str, Any]:
    size, batch = args.size, args.batch
    patches = SIZES[size]["side"] // SIZES[size]["vision"]["patch_size"]
    words = torch.randint(0, ids["bos"], (batch, args.text), generator=torch.Generator().manual_seed(0))
    if args.no_pictures:
        words = words.to(model.device)
        return {"input_ids": words, "attention_mask": torch.ones_like(words), "mm_token_type_ids": 0 * words.int()}
    picture = [ids["start"], *[ids["image"]] * (patches**2 // 4), ids["end"]]
    input_ids = torch.cat([torch.tensor(picture).expand(batch, -1), words], 1).to(model.device)
    values = 3 * 2 * SIZES[size]["vision"]["patch_size"] ** 2
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "mm_token_type_ids": (input_ids == ids["image"]).int(),
        "pixel_values": torch.randn(batch * patches**2, values, device=model.device, dtype=model.dtype),
        "image_grid_thw": torch.tensor([[1, patches, patches]] * batch, device=model.device),
    }


def shared(model: Any, ids: dict[str, int], given: dict[str, torch.Tensor], rollouts: int, tokens: int) -> torch.Tensor:
    forbidden = torch.tensor([value for name, value in ids.items()], device=model.device)  # all: full length
    images = None
    if "pixel_values" in given:
        with torch.no_grad():
            found = model.model.get_image_features(given["pixel_values"], given["image_grid_thw"], return_dict=True)
        images = {"image": found}
    position_ids, _ = model.model.get_rope_index(
        given["input_ids"],
        given["mm_token_type_ids"],
        given.get("image_grid_thw"),
        attention_mask=given["attention_mask"],
    )
    prompts = SimpleNamespace(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"], position_ids=position_ids, images=images
    )
    common: dict[str, Any] = {"forbidden": forbidden}
    drawn = sample(model.model, model.lm_head, prompts, rollouts=rollouts, max_tokens=tokens, end=ids["ret"], **common)
    log_probs, embeddings = teacher_forced(model.model, model.lm_head, prompts, drawn.tokens, drawn.lengths, **common)
    return (log_probs * drawn.mask).sum() + embeddings.sum()


def plain(model: Any, ids: dict[str, int], given: dict[str, torch.Tensor], rollouts: int, tokens: int) -> torch.Tensor:
    return sum(one_rollout(model, ids, given, tokens) for _ in range(rollouts))  # type: ignore[return-value]


def one_by_one(model: Any, ids: dict[str, int], given: dict[str, Any], rollouts: int, tokens: int) -> torch.Tensor:
    total = torch.zeros((), device=model.device)
    for row in range(len(given["input_ids"])):
        one = {name: value[row : row + 1] for name, value in given.items()}
        if "pixel_values" in given:
            patches = len(given["pixel_values"]) // len(given["input_ids"])
            one["pixel_values"] = given["pixel_values"][row * patches : (row + 1) * patches]
        for _ in range(rollouts):
            total = total + one_rollout(model, ids, one, tokens)
    return total


def one_rollout(model: Any, ids: dict[str, int], given: dict[str, torch.Tensor], tokens: int) -> torch.Tensor:
    suppressed = list(ids.values())
    lengths: dict[str, Any] = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": True, "top_k": 0}
    sequences = model.generate(**given, **lengths, suppress_tokens=suppressed, pad_token_id=ids["pad"])
    ends = torch.full_like(sequences[:, :1], ids["ret"])
    whole = torch.cat([sequences, ends], 1)
    length = given["input_ids"].shape[1]
    hidden = model.model(
        input_ids=whole,
        attention_mask=torch.ones_like(whole),
        mm_token_type_ids=(whole == ids["image"]).int(),
        pixel_values=given.get("pixel_values"),
        image_grid_thw=given.get("image_grid_thw"),
    ).last_hidden_state
    scores = model.lm_head(hidden[:, length - 1 : -2]).float()
    scores = scores.index_fill(-1, torch.tensor(suppressed, device=model.device), -torch.inf)
    log_probs = scores.log_softmax(-1).gather(-1, whole[:, length:-1, None])
    return log_probs.sum() + torch.nn.functional.normalize(hidden[:, -1].float(), dim=-1).sum()


WAYS = {"shared": shared, "plain": plain, "one by one": one_by_one}
CASES = [("shared", False), ("plain", False), ("one by one", False), ("shared", True), ("plain", True), ("TRL", True)]


def steps(model: Any, ids: dict[str, int], args: argparse.Namespace) -> list[float]:
    """Return the seconds of each step: draw, one pass under gradient, AdamW."""
    given = inputs(model, ids, args)
    torch.manual_seed(1)
    optimiser = torch.optim.AdamW(weight for weight in model.parameters() if weight.requires_grad)
    seconds = []
    for _ in range(1 + args.repeats):
        start = time.perf_counter()
        WAYS[args.way](model, ids, given, args.rollouts, args.tokens).backward()
        optimiser.step()
        optimiser.zero_grad()
        if args.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


def trl_steps(model: Any, ids: dict[str, int], args: argparse.Namespace) -> list[float]:
    """Return the seconds of each step of TRL's GRPOTrainer on the same prompts, without a reference model."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    names = {number: name for name, number in ids.items()}
    words = {names.get(number, f"w{number}"): number for number in range(model.config.text_config.vocab_size)}
    core = Tokenizer(models.WordLevel(words, unk_token="pad"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="pad", eos_token="eos", padding_side="left")
    rows = inputs(model, ids, args)["input_ids"].tolist()
    prompts = [" ".join(f"w{number}" for number in row) for row in rows]
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

        def on_train_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=args.batch * args.rollouts,
            num_generations=args.rollouts,
            max_completion_length=args.tokens,
            max_steps=1 + args.repeats,
            generation_kwargs={"min_new_tokens": args.tokens, "suppress_tokens": list(ids.values())},
            beta=0.0,
            gradient_checkpointing=False,
            bf16=args.device == "cuda",
            use_cpu=args.device == "cpu",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=model,
            args=config,
            reward_funcs=lambda completions, **_: [float(len(set(text.split()))) for text in completions],
            train_dataset=Dataset.from_dict({"prompt": prompts * (1 + args.repeats)}),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        trainer.train()
    return [end - start for start, end in itertools.pairwise(times)]


def measure(args: argparse.Namespace) -> None:
    set_verbosity_error()
    torch.set_num_threads(args.threads)
    model, ids = build(args.size, args.device)
    before = memory(args.device)
    with contextlib.redirect_stdout(sys.stderr):
        seconds = (trl_steps if args.way == "TRL" else steps)(model, ids, args)
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "mib": memory(args.device) - before}))


def memory(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=16, help="prompts")
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--text", type=int, default=40, help="tokens of text beside the picture")
    parser.add_argument("--tokens", type=int, default=16, help="tokens of a summary")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="on a shared machine more threads wait for each other")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--no-pictures", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        return measure(args)
    print(
        f"{args.size}: {args.batch} prompts x {args.rollouts} rollouts, {args.tokens} tokens; torch {torch.__version__}"
    )
    ours = 0.0
    for way, text_alone in CASES:
        command = [sys.executable, *sys.argv, "--way", way, *["--no-pictures"] * text_alone]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{way:10}  failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        found = json.loads(done.stdout)
        ours = found["seconds"] if way == "shared" else ours
        rate = args.batch * args.rollouts / found["seconds"]
        what = "text" if text_alone else "pictures and text"
        print(
            f"{way:10}  {what:17}  {rate:9.1f} rollouts/s  {found['mib']:7.0f} MiB above the model"
            f"  {found['seconds'] / ours:5.1f} x the time"
        )
    return None


if __name__ == "__main__":
    main()
