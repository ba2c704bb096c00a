"""The entries that MRBench reads. Importing this imports no model."""

from mrbench.registry import Entry

_FACTS = (("modalities", "image"),)

MODELS = [
    Entry("brightness", "mean brightness of a picture", "mrbench_test_plugin.model:Brightness", facts=_FACTS),
    Entry("power:NUMBER", "brightness to a power", "mrbench_test_plugin.model:power", facts=_FACTS),
]
