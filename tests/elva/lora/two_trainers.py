"""The gradient of one step of adapters, written by the first process; run alone or under torchrun."""

import json
import sys
from pathlib import Path

import torch

from elva.lora.method import LoraMethod
from elva.processes import Processes
from elva.tuning.objectives import grid
from elva.tuning.train import Plan, Run
from mrbench.sources.open import open_benchmark


def main():
    model, spec, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    torch.set_num_threads(1)
    processes = Processes.here()
    method = LoraMethod(f"hf:{model}", chunk=9, device="cpu", processes=processes)
    data = method.read(open_benchmark(spec), "train")
    plan = Plan("infonce", grid("infonce", identity=True), identity=True, steps=20, batch=11, guard=1.0)
    towers = method.start(data, 0)(plan.grid[0])
    with torch.no_grad():
        for weight in towers.weights().values():
            weight += 0.05
    run = Run(data, data, plan, plan.grid[0], towers)
    run.loss(0).backward()
    towers.share_gradients()
    if processes.first:
        gradient = torch.cat([weight.grad.flatten() for weight in towers.weights().values()])
        out.write_text(json.dumps({"world": processes.world, "gradient": gradient.tolist()}))
    if processes.world > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
