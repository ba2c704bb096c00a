"""An exported ELVA checkpoint as a module of sentence-transformers.

    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer("FOLDER", trust_remote_code=True)  # this file and load_elva.py, which lie in the folder
    vectors = model.encode(["two red dogs", Image.open("photo.jpg")])

What is given as ``prompt`` is the instruction of a query.
"""

from typing import Any

import torch
from sentence_transformers.base.modules.input_module import InputModule

from .load_elva import Embedder


class SentenceElva(InputModule):
    """Embeds texts and pictures."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.embedder, self.tokenizer = embedder, embedder.tokenizer

    @classmethod
    def load(cls, model_name_or_path: str, *arguments: Any, **options: Any) -> "SentenceElva":
        """Load the folder."""
        return cls(Embedder(model_name_or_path))

    @property
    def modalities(self) -> list[Any]:
        """What it takes."""
        return ["text", "image"]

    def preprocess(self, inputs: Any, prompt: Any = None, **options: Any) -> dict[str, Any]:
        """Return the inputs as they are, with the instruction."""
        return {"items": list(inputs), "instruction": prompt or ""}

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Add the embeddings."""
        found = self.embedder.embed(features["items"], features["instruction"])
        return features | {"sentence_embedding": torch.from_numpy(found)}

    def get_embedding_dimension(self) -> int:
        """Return the length of an embedding."""
        return int(self.embedder.network.get_output_embeddings().weight.shape[1])

    def save(self, *arguments: Any, **options: Any) -> None:
        """Refuse: the folder that was exported is the one to copy."""
        raise NotImplementedError("copy the folder that was exported")
