"""Writes a Python module that makes MTEB tasks of a benchmark folder."""

from __future__ import annotations

import re
from pathlib import Path

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.files import write_atomic
from mrbench.records import Task

DIGITS = 12
"""Digits of the benchmark's digest in the name of a task: MTEB keeps results by name, whatever the data were."""
_CODES = {"t": "text", "i": "image"}

_HEAD = '''"""MTEB tasks of {title}, over the folder that mrbench wrote.

mteb.evaluate(model, tasks=[task() for task in TASKS]) runs them; nothing is downloaded. Written by `mrbench export
mteb-task`. The names hold the first digits of the benchmark's digest: other data are other tasks.
"""

from pathlib import Path

from mteb.abstasks.task_metadata import TaskMetadata

from mrbench.export.mteb_task import FolderTask

FOLDER = Path({folder!r})
DIGEST = {digest!r}
'''

_CLASS = """

class {class_name}(FolderTask):
    folder, digest, task = FOLDER, DIGEST, {task!r}
    metadata = TaskMetadata(
        name={name!r},
        description={description!r},
        dataset={{"path": str(FOLDER), "revision": DIGEST}},
        type={kind!r},
        category={category!r},
        modalities={modalities!r},
        eval_splits={splits!r},
        eval_langs=["eng-Latn"],
        main_score={main!r},
        prompt={prompt!r},
    )
"""


def write_mteb_module(benchmark: Benchmark, output: Path, *, overwrite: bool = False) -> dict[str, str]:
    """Write the module.

    Args:
        benchmark: A folder in our format.
        output: A file that ends in ``.py``, or a folder, where the file is named after the benchmark.
        overwrite: Whether a file that is there may be replaced.

    Returns:
        By task the name that MTEB knows it by, or why MTEB cannot run it.

    Raises:
        InputError: The file is there, or MTEB can run none of the tasks.
        OutputError: It cannot be written.
    """
    path = output if output.suffix == ".py" else output / f"{_identifier(benchmark.name)}.py"
    if path.exists() and not overwrite:
        raise InputError("the file is there", where=path, hint="add --overwrite")
    found, classes = {}, []
    for name in benchmark.task_names:
        task = benchmark.task(name)
        found[name] = why_not(benchmark, task)
        if not found[name]:
            found[name] = f"{benchmark.name}-{name}-{benchmark.digest[:DIGITS]}"
            classes.append((_identifier(f"{benchmark.name}_{name}"), _class(benchmark, task, found[name])))
    if not classes:
        got, hint = "; ".join(found.values()), benchmark.command("evaluate", "--model", "mteb:NAME")
        raise InputError("MTEB can run no task of the benchmark", where=benchmark.folder, got=got, hint=hint)
    folder = str(benchmark.folder.resolve())
    text = _HEAD.format(title=_plain(benchmark.manifest.title), folder=folder, digest=benchmark.digest)
    text += "".join(source for _, source in classes)
    text += f"\n\nTASKS = [{', '.join(name for name, _ in classes)}]\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
    return found


def why_not(benchmark: Benchmark, task: Task) -> str:
    """Return why MTEB cannot run a task as it is meant, or an empty text."""
    if any(benchmark.count("exclusions", task.name, split) for split in benchmark.splits):
        return "not for MTEB: it has no candidates that only some queries are not searched among"
    kinds = {benchmark.corpora[name] for name in task.own_corpora}
    if len(kinds) > 1:
        return "not for MTEB: it takes no corpus of several modalities"
    return ""


def _class(benchmark: Benchmark, task: Task, name: str) -> str:
    splits = [split for split in benchmark.splits if benchmark.count("queries", task.name, split)]
    query, _, candidate = task.category.partition("2")
    # Codes of the corpus itself: a task over "it" may be over a corpus of pictures alone.
    candidate = "".join(code for code, kind in _CODES.items() if kind in benchmark.corpora[task.own_corpora[0]])
    candidate = "it" if candidate == "ti" else candidate
    category = f"{query}2{candidate}"
    said = instructions(benchmark, task.name, splits)
    prompt = {"query": said[0], "document": ""} if len(said) == 1 and said[0] else None
    return _CLASS.format(
        class_name=_identifier(f"{benchmark.name}_{task.name}"),
        task=task.name,
        name=name,
        description=f"{benchmark.manifest.title}: {task.title}",
        kind="Retrieval" if category == "t2t" else "Any2AnyRetrieval",
        category=category,
        modalities=[kind for code, kind in _CODES.items() if code in category.replace("2", "")],
        splits=splits,
        main="mrbench_ndcg_at_10" if task.judgements == "complete" else "ndcg_at_10",
        prompt=prompt,
    )


def instructions(benchmark: Benchmark, task: str, splits: list[str]) -> list[str]:
    """Return the instructions of a task's queries, each once."""
    tables = (benchmark.queries(task, split).table(["instruction"]) for split in splits)
    return list(dict.fromkeys(said or "" for table in tables for said in table["instruction"].to_pylist()))


def _identifier(text: str) -> str:
    name = re.sub(r"\W", "_", text)
    return f"_{name}" if name[:1].isdigit() else name


def _plain(text: str) -> str:
    """Return text that cannot end a docstring."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())
