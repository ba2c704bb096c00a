"""An error ends with the next command, and the command names the user's own paths."""

from __future__ import annotations

import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from tiny_benchmark import Oracle, write_tiny

from mrbench import evaluate, load_benchmark, rescore
from mrbench.benchmark import Benchmark
from mrbench.cli.app import main
from mrbench.errors import BenchmarkError, InputError, ResultError
from mrbench.pools import load_pool
from mrbench.runs import read_run
from mrbench.show import show


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "my suite").folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A file of captions whose photos lie elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "elsewhere" / "a.png")
    path = tmp_path / "photos.csv"
    path.write_text("image,caption\na.png,a red square\n")
    return path


def next_of(raised: pytest.ExceptionInfo[Exception]) -> str:
    return str(raised.value).rpartition("; next: ")[2]


def drop_last_row(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(0, len(table) - 1), path)


def test_a_broken_table_of_a_folder(folder: Path) -> None:
    benchmark = Benchmark(folder)
    drop_last_row(next(folder.glob("data/top_ranked/t2i-test-*.parquet")))
    with pytest.raises(BenchmarkError, match="a query has no ladder") as raised:
        load_pool(benchmark, "t2i", "test")
    assert next_of(raised) == f"mrbench validate {shlex.quote(str(folder))}"


def test_the_image_root_of_the_user_is_in_the_command(photos: Path) -> None:
    spec, root = f"captions:{photos}", photos.parent / "elsewhere"
    benchmark = load_benchmark(spec, image_root=root)
    assert benchmark.check_command == f"mrbench validate {spec} --image-root {root}"


def test_a_file_that_cannot_be_read(photos: Path) -> None:
    photos.write_text("image,caption\n,a red square\n")
    with pytest.raises(BenchmarkError, match="image") as raised:
        load_pool(load_benchmark(f"captions:{photos}"), "t2i", "test")
    assert next_of(raised) == f"correct the path or the data, then mrbench datasets check captions:{photos}"


def test_a_photo_that_is_not_there(photos: Path, tmp_path: Path) -> None:
    (photos.parent / "elsewhere" / "a.png").unlink()
    with pytest.raises(BenchmarkError, match="an image file is missing") as raised:
        evaluate(f"captions:{photos}", Oracle(), tmp_path / "result")
    assert next_of(raised) == "--image-root FOLDER, the folder that has a.png"


def test_a_query_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown query") as raised:
        show(Benchmark(folder), "nobody", tmp_path / "query.png")
    command, _, query = next_of(raised).rpartition(" ")
    assert command == f"mrbench show {shlex.quote(str(folder))}"
    assert show(Benchmark(folder), query, tmp_path / "query.png")


def test_a_run_that_lacks_a_table(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, Oracle(), tmp_path / "result")
    (tmp_path / "result" / "t2i.run.parquet").unlink()
    with pytest.raises(ResultError, match="a table of a run is missing") as raised:
        read_run(tmp_path / "result")
    assert next_of(raised) == f"mrbench evaluate BENCHMARK --model SPEC --output {tmp_path / 'result'} --overwrite"


def test_scores_that_the_run_contradicts(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, Oracle(), tmp_path / "result")
    drop_last_row(tmp_path / "result" / "t2i.queries.parquet")
    manifest = tmp_path / "result" / "run.json"
    manifest.write_text(manifest.read_text().replace('"files"', '"digests"'))
    with pytest.raises(ResultError, match=r"the run lacks 1 of 8 rows") as raised:
        rescore(tmp_path / "result", folder)
    again = f"mrbench evaluate {shlex.quote(str(folder))} --model SPEC --output {tmp_path / 'result'} --overwrite"
    assert next_of(raised) == again


def test_a_model_that_returns_too_little(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "short.py"
    model.write_text(
        "import numpy as np\n\n\nclass Short:\n"
        '    name, revision, dimension = "short", "1", 3\n'
        '    modalities, device, dtype = frozenset({"image"}), "cpu", "float32"\n\n'
        "    def embed_candidates(self, items):\n        return np.ones((1, 2), dtype=np.float32)\n\n"
        "    def embed_queries(self, items, instruction):\n        return self.embed_candidates(items)\n"
    )
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(folder), "--model", f"py:{model}:Short", "--output", str(tmp_path / "result")])
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the embeddings have another shape" in said
    assert said.endswith(f"next: mrbench models check py:{model}:Short")
