"""A recipe of all stages that runs in seconds."""

SMALL = {
    "name": "small",
    "architecture": {"hidden": 32, "layers": 2, "vision_layers": 1, "intermediate": 48, "heads": 2, "patch": 16},
    "max_summary": 24,
    "prompt": {"template": "{image}{text}{ask}", "summary": "summary", "word": "word", "instructions": False},
    "lora": {"rank": 4, "alpha": 8},
    "stage0": {"steps": 4, "batch": 6, "chunk": 4, "lr": 1e-3, "train": "all"},
    "stage1": {"steps": 3, "batch": 5, "chunk": 4, "lr": 1e-3, "train": "language", "negatives": 1},
    "stage2": {"steps": 3, "batch": 6, "chunk": 5, "lr": 1e-3, "train": "language", "negatives": 1},
    "stage3": {
        "steps": 3,
        "batch": 2,
        "chunk": 8,
        "lr": 1e-3,
        "rollouts": 3,
        "sampling": {"hard": 2, "random": 2},
    },
}
