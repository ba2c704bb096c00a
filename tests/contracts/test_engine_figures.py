"""The table of the engine's document is what the committed figures give."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import engine

    return engine


def test_the_document_has_the_committed_figures(engine) -> None:
    document = engine.DOCUMENT.read_text(encoding="utf-8")
    assert engine.write_table(document, engine.Figures()) == document
    assert document.count("| 1. ") >= 8


def test_every_part_is_a_command_of_the_folder(engine) -> None:
    parts = engine.PARTS | engine.GPU_PARTS
    for name, words in parts.items():
        assert (ROOT / "benchmarks" / words.split()[0]).is_file(), name
    assert list(engine.Figures().parts) == list(parts)


def test_another_figure_changes_the_table(engine) -> None:
    figures = engine.Figures()
    before = engine.table(figures)
    figures.parts["harness, small"]["figures"][0]["value"] *= 2
    assert engine.table(figures) != before


def test_every_step_of_the_profile_is_one_of_the_search(engine) -> None:
    import harness

    for kind, name in harness.STEPS.values():
        assert callable(getattr(harness.owner_of(kind), name))
