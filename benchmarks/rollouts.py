"""Rollouts per second and peak memory: shared rows of elva.rollouts against plain `generate` per rollout.

    python benchmarks/rollouts.py                       # a small model on the CPU
    python benchmarks/rollouts.py --size 2b --batch 16  # the shape of Qwen2-VL-2B, random weights, bfloat16, on a GPU

Both sides start from pixels, sample G summaries of every prompt, and run them under gradient to log-probabilities
of their tokens and embeddings. Every way runs in a process of its own, for the peak of its memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
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


def inputs(model: Any, ids: dict[str, int], size: str, batch: int, text: int) -> dict[str, torch.Tensor]:
    patches = SIZES[size]["side"] // SIZES[size]["vision"]["patch_size"]
    words = torch.randint(0, ids["bos"], (batch, text), generator=torch.Generator().manual_seed(0))
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
    with torch.no_grad():
        images = model.model.get_image_features(given["pixel_values"], given["image_grid_thw"], return_dict=True)
    position_ids, _ = model.model.get_rope_index(
        given["input_ids"], given["mm_token_type_ids"], given["image_grid_thw"], attention_mask=given["attention_mask"]
    )
    prompts = SimpleNamespace(
        input_ids=given["input_ids"],
        attention_mask=given["attention_mask"],
        position_ids=position_ids,
        images={"image": images},
    )
    common: dict[str, Any] = {"forbidden": forbidden}
    drawn = sample(model.model, model.lm_head, prompts, rollouts=rollouts, max_tokens=tokens, end=ids["ret"], **common)
    log_probs, embeddings = teacher_forced(model.model, model.lm_head, prompts, drawn.tokens, drawn.lengths, **common)
    return (log_probs * drawn.mask).sum() + embeddings.sum()


def plain(model: Any, ids: dict[str, int], given: dict[str, torch.Tensor], rollouts: int, tokens: int) -> torch.Tensor:
    return sum(one_rollout(model, ids, given, tokens) for _ in range(rollouts))  # type: ignore[return-value]


def one_by_one(model: Any, ids: dict[str, int], given: dict[str, Any], rollouts: int, tokens: int) -> torch.Tensor:
    patches = len(given["pixel_values"]) // len(given["input_ids"])
    total = torch.zeros((), device=model.device)
    for row in range(len(given["input_ids"])):
        one = {name: value[row : row + 1] for name, value in given.items()}
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
        pixel_values=given["pixel_values"],
        image_grid_thw=given["image_grid_thw"],
    ).last_hidden_state
    scores = model.lm_head(hidden[:, length - 1 : -2]).float()
    scores = scores.index_fill(-1, torch.tensor(suppressed, device=model.device), -torch.inf)
    log_probs = scores.log_softmax(-1).gather(-1, whole[:, length:-1, None])
    return log_probs.sum() + torch.nn.functional.normalize(hidden[:, -1].float(), dim=-1).sum()


WAYS = {"shared": shared, "plain": plain, "one by one": one_by_one}


def measure(way: str, args: argparse.Namespace) -> None:
    set_verbosity_error()
    torch.set_num_threads(args.threads)
    model, ids = build(args.size, args.device)
    given = inputs(model, ids, args.size, args.batch, args.text)
    torch.manual_seed(1)
    before = memory(args.device)
    seconds = []
    for _ in range(1 + args.repeats):
        start = time.perf_counter()
        WAYS[way](model, ids, given, args.rollouts, args.tokens)
        if args.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
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
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        return measure(args.way, args)
    found = {}
    for way in WAYS:
        command = [sys.executable, *sys.argv, "--way", way]
        found[way] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        rate = args.batch * args.rollouts / found[way]["seconds"]
        ratio = found[way]["seconds"] / found["shared"]["seconds"]
        print(
            f"{way:10}  {rate:9.1f} rollouts/s  {found[way]['mib']:7.0f} MiB above the model  {ratio:5.1f} x the time"
        )
    return None


if __name__ == "__main__":
    main()
