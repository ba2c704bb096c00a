"""One step of a stage, its gradient written by the first process; run alone or under torchrun."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from small_recipe import SMALL

from elva import checkpoints
from elva.config import Reward, parse_recipe
from elva.inputs import read_data
from elva.model import seeded_globally
from elva.processes import Processes
from elva.train import make_objective


def main():
    folder, stage, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    recipe, data, processes = parse_recipe(SMALL), read_data([Path(folder)]), Processes.here()
    model = checkpoints.build(recipe, data.texts(), device="cpu")
    options = getattr(recipe, f"stage{stage}")
    if stage == 3:  # each process's candidates are negatives of the other's queries; three queries for two processes
        reward = Reward(listwise=1.0, in_batch=True)
        options = replace(options, batch=3, gradient="both", credit="own", reward=reward)
    if options.train == "lora":
        with seeded_globally(0):
            model.adapt(recipe.lora)
            for name, weight in model.network.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight, std=0.1)
    weights = model.unfreeze(options.train)
    objective, _, _ = make_objective(stage, recipe, options, data, model, processes)
    objective.backward(0)
    processes.add_gradients(weights.values())
    if processes.first:
        grads = [(w.grad if w.grad is not None else torch.zeros_like(w)).flatten() for w in weights.values()]
        out.write_text(json.dumps({"world": processes.world, "gradient": torch.cat(grads).tolist()}))
    if processes.world > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
