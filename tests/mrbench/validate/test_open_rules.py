"""Every rule of data with partial judgements is proved by one fault that breaks it, and it alone."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mrbench.validate
from mrbench.benchmark import (
    Benchmark,
    Contents,
    ImageRoot,
    InMemoryBenchmark,
    encode_png,
    read_manifest,
    write_benchmark,
)
from mrbench.errors import BenchmarkError
from mrbench.pools import load_pool
from mrbench.records import (
    Candidate,
    CandidateList,
    Grain,
    ImageFile,
    Judgement,
    Ladder,
    Query,
    Task,
    Variant,
)
from mrbench.sources.convert import convert
from mrbench.validate import Report, check_contents, validate_open
from mrbench.validate.open_world import _is_in

T2I = Task("find", "text → image", "text", "image", judgements="partial")
I2T = Task("tell", "image → text", "image", "text", judgements="partial", pool="lists")
CAT = Grain("entity", "cat", 2, 5)


def picture(level: int):
    return encode_png(Image.new("RGB", (4, 4), (level, 0, 0)))


@dataclass
class Made(Contents):
    """Contents that a test fills, sound as they are here."""

    location: Path
    name: str = "made"
    title: str = "Made"
    licence: str = "CC0-1.0"
    tasks: list[Task] = field(default_factory=lambda: [T2I, I2T])
    splits: tuple[str, ...] = ("test",)
    images: ImageRoot = field(default_factory=ImageRoot)
    corpora: dict = field(default_factory=lambda: {"image": "image", "text": "text"})
    pool: dict = field(
        default_factory=lambda: {
            "image": [Candidate(f"i{n}", (Grain("entity", "cat"),), image=picture(n)) for n in range(4)],
            "text": [Candidate(f"t{n}", text=f"text {n}") for n in range(3)],
        }
    )
    asked: dict = field(
        default_factory=lambda: {
            "find": [Query("q0", "find", "Find.", (CAT,), "a cat"), Query("q1", "find", "Find.", (), "a dog")],
            "tell": [Query("p0", "tell", "Tell.", image=picture(9), cluster="c")],
        }
    )
    qrels: dict = field(
        default_factory=lambda: {
            "find": [
                Judgement("q0", "i0", 2, 1, (), 1),
                Judgement("q0", "i1", 0, 0, ("entity",), 1),
                Judgement("q1", "i2", 1),
            ],
            "tell": [Judgement("p0", "t0", 1, violates=()), Judgement("p0", "t1", 0, violates=("swap",))],
        }
    )
    steps: list[Ladder] = field(default_factory=lambda: [Ladder("q0", "i0", ("i0", "i1"))])
    others: list[Variant] = field(default_factory=lambda: [Variant("q0", "paraphrased", "", "i0", "one cat")])
    listed: dict = field(default_factory=lambda: {"tell": [CandidateList("p0", ("t0", "t1"))]})
    gone: list[CandidateList] = field(default_factory=lambda: [CandidateList("q1", ("i3",))])

    def digest(self) -> str:
        return "0" * 64

    def candidates(self, corpus: str, split: str) -> Iterable[Candidate]:
        return self.pool[corpus]

    def queries(self, task: str, split: str) -> Iterable[Query]:
        return self.asked[task]

    def judgements(self, task: str, split: str) -> Iterable[Judgement]:
        return self.qrels[task]

    def ladders(self, task: str, split: str) -> Iterable[Ladder]:
        return self.steps if task == "find" else ()

    def variants(self, task: str, split: str) -> Iterable[Variant]:
        return self.others if task == "find" else ()

    def lists(self, task: str, split: str) -> Iterable[CandidateList]:
        return self.listed.get(task, ())

    def exclusions(self, task: str, split: str) -> Iterable[CandidateList]:
        return self.gone if task == "find" else ()


def broken_file(made: Made) -> None:
    path = made.location / "broken.png"
    path.write_bytes(b"\x89PNG")
    made.images = ImageRoot(made.location)
    made.pool["image"][3] = Candidate("i3", image=ImageFile(path, path.name))


def missing_file(made: Made) -> None:
    made.images = ImageRoot(made.location)
    made.pool["image"][3] = Candidate("i3", image=ImageFile(made.location / "gone.png", "gone.png"))


def no_queries(made: Made) -> None:
    made.asked["tell"], made.qrels["tell"], made.listed["tell"] = [], [], []


def none_judged(made: Made) -> None:
    made.qrels["find"], made.steps = [], []


def none_relevant(made: Made) -> None:
    made.qrels["find"], made.steps = [Judgement("q0", "i0", 0), Judgement("q1", "i2", 0)], []


FAULTS: dict[str, Callable[[Made], object]] = {
    "malformed id": lambda m: m.pool["text"].append(Candidate("t\x00", text="again")),
    "repeated candidate id": lambda m: m.pool["text"].append(Candidate("i3", text="again")),
    "repeated query id": lambda m: m.asked["find"].append(Query("q1", "find", "Find.", (), "again")),
    "no queries": no_queries,
    "empty queries": lambda m: m.asked["find"].append(Query("q2", "find", "Find.", (), " ")),
    "negative relevance": lambda m: m.qrels["find"].append(Judgement("q1", "i3", -1)),
    "no candidate of the pool is judged": none_judged,
    "unknown measure": lambda m: m.tasks.__setitem__(0, replace(T2I, measures=("hit_rate@0",))),
    "no query has a relevant candidate": none_relevant,
    "unknown query in judgements": lambda m: m.qrels["find"].append(Judgement("zz", "i3", 1)),
    "unknown candidate in judgements": lambda m: m.qrels["find"].append(Judgement("q1", "zz", 1)),
    "different judgements of one pair": lambda m: m.qrels["find"].append(Judgement("q1", "i2", 0)),
    "a judgement is there twice": lambda m: m.qrels["find"].append(Judgement("q1", "i2", 1)),
    "queries without a list": lambda m: m.asked["tell"].append(Query("p1", "tell", "Tell.", image=picture(8))),
    "lists without a judged candidate": lambda m: m.listed.update(tell=[CandidateList("p0", ("t2",))]),
    "lists of a task that has none": lambda m: m.listed.update(find=[CandidateList("q0", ("i0",))]),
    "unknown query": lambda m: m.gone.append(CandidateList("zz", ("i0",))),
    "unknown candidate": lambda m: m.gone.append(CandidateList("q0", ("zz",))),
    "a candidate is listed twice": lambda m: m.gone.append(CandidateList("q0", ("i3", "i3"))),
    "positive outside of its ladder": lambda m: m.steps.__setitem__(0, Ladder("q0", "i0", ("i1",))),
    "a member of a ladder is not judged": lambda m: m.steps.__setitem__(0, Ladder("q0", "i0", ("i0", "i3"))),
    "missing image": missing_file,
    "unreadable image": broken_file,
}


def check(made: Made, *, decode: bool = True) -> tuple[Report, dict]:
    report = Report()
    return report, check_contents(InMemoryBenchmark(made), report, decode=decode)


def test_sound_contents_have_no_problem_and_say_what_they_support(tmp_path: Path) -> None:
    report, facts = check(Made(tmp_path))
    assert report.problems == []
    find, tell = facts["test"]["tasks"]["find"], facts["test"]["tasks"]["tell"]
    assert find["relevant_per_query"] == {"min": 1, "median": 1.0, "max": 1}
    assert find["relevance"] == {"0": 1, "1": 1, "2": 1}
    assert (find["queries"], find["clusters"], find["candidates"]) == (2, 2, 4)
    assert {"hit_rate@k", "kendall_tau", "phrasing_flips@k", "pair_accuracy"} <= set(find["supported"])
    assert find["not_supported"]["blindness_rate"] == "no queries without one of their grains"
    assert tell["violated"] == {"swap": 1}
    assert tell["not_supported"]["kendall_tau"] == "no ladders"
    assert facts["test"]["corpora"]["image"]["images"] == 4


@pytest.mark.parametrize("rule", FAULTS)
def test_a_fault_breaks_its_rule_and_no_other(tmp_path: Path, rule: str) -> None:
    made = Made(tmp_path)
    FAULTS[rule](made)
    report, _ = check(made)
    assert report.rules == {rule}, [str(problem) for problem in report.problems]


@pytest.mark.parametrize("name", ["", "two\nlines", "zero\x00byte", "back\r"])
def test_ids_that_an_evaluation_refuses_are_neither_sound_nor_written(tmp_path: Path, name: str) -> None:
    made = Made(tmp_path)
    made.asked["find"].append(Query(name, "find", "Find.", (), "a bird"))
    assert check(made)[0].rules == {"malformed id"}
    with pytest.raises(BenchmarkError, match="malformed id"):
        load_pool(InMemoryBenchmark(made), "find", "test")
    with pytest.raises(BenchmarkError, match="malformed id; where: queries/find-test"):
        convert(InMemoryBenchmark(made), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_ids_are_named_and_counted(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.qrels["find"] += [Judgement("q1", "z1", 1), Judgement("q0", "z1", 1), Judgement("q0", "z2", 0)]
    report, _ = check(made)
    assert [problem.got for problem in report.problems] == ["3 of 6 rows name 2 unknown ids: z1, z2"]


def test_what_is_allowed_is_noted(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.pool["text"] += [Candidate("t3", text="text 0"), Candidate("t4", text="")]
    made.pool["image"].append(Candidate("i9", image=picture(0)))
    made.asked["find"].append(Query("q2", "find", "Find.", (), "a dog"))
    made.gone.append(CandidateList("q0", ("i0",)))
    report, facts = check(made)
    assert report.problems == []
    assert report.notes == {
        "corpus text, test: texts that an earlier candidate has too": 1,
        "corpus text, test: empty texts": 1,
        "corpus image, test: images that an earlier candidate has too": 1,
        "queries find, test: texts that an earlier query has too": 1,
        "judgements find, test: queries without a relevant candidate": 1,
        "exclusions find, test: relevant candidates that are excluded": 1,
    }
    assert facts["test"]["tasks"]["find"]["relevant_per_query"]["min"] == 0


def test_images_are_looked_for_without_decoding_them(tmp_path: Path) -> None:
    made = Made(tmp_path)
    broken_file(made)
    assert check(made, decode=False)[0].problems == []
    missing_file(made)
    assert check(made, decode=False)[0].rules == {"missing image"}


def test_groups_of_two_texts_and_two_images_support_group_scores(tmp_path: Path) -> None:
    tasks = [
        replace(T2I, name="t2i", pool="lists"),
        replace(I2T, name="i2t"),
    ]
    made = Made(tmp_path, tasks=tasks, steps=[], others=[], gone=[])
    made.asked = {
        "t2i": [Query(f"t{n}", "t2i", "", (), f"text {n}", cluster="g") for n in range(2)],
        "i2t": [Query(f"i{n}", "i2t", "", image=picture(n), cluster="g") for n in range(2)],
    }
    made.qrels = {
        task: [Judgement(f"{one}{n}", f"{other}{m}", int(n == m)) for n in range(2) for m in range(2)]
        for task, one, other in (("t2i", "t", "i"), ("i2t", "i", "t"))
    }
    made.listed = {
        task: [CandidateList(f"{one}{n}", (f"{other}0", f"{other}1")) for n in range(2)]
        for task, one, other in (("t2i", "t", "i"), ("i2t", "i", "t"))
    }
    report, facts = check(made)
    assert report.problems == []
    assert "group_score" in facts["test"]["tasks"]["t2i"]["supported"]


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = Made(tmp_path)
    with write_benchmark(tmp_path / "made", tasks=made.tasks, corpora=made.corpora) as writer:
        for corpus, candidates in made.pool.items():
            writer.add_candidates("test", candidates, corpus=corpus)
        for task in ("find", "tell"):
            writer.add_queries("test", made.asked[task])
            writer.add_judgements("test", task, made.qrels[task])
            writer.add_ladders("test", task, made.ladders(task, "test"))
            writer.add_variants("test", task, made.variants(task, "test"))
        writer.add_lists("test", "tell", made.listed["tell"])
        writer.add_exclusions("test", "find", made.gone)
        writer.finish(name="made", title="Made", licence="CC0-1.0")
    return tmp_path / "made"


def validated(folder: Path) -> Report:
    return validate_open(folder, read_manifest(folder), images=True, workers=1, image_root=None)[0]


def change_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def change_rows(folder: Path, table: str, change: Callable[[list[dict]], object]) -> None:
    """Change the rows of a table, and what the manifest and croissant say of the file, but no digest of the content."""
    name = f"data/{table}-00000.parquet"
    held = pq.read_table(folder / name)
    rows = held.to_pylist()
    change(rows)
    pq.write_table(type(held).from_pylist(rows, schema=held.schema), folder / name)
    raw = (folder / name).read_bytes()
    entry = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), "rows": len(rows)}
    change_manifest(folder, lambda m: m["files"].__setitem__(name, entry))
    path = folder / "croissant.json"
    value = json.loads(path.read_text())
    for item in value["distribution"]:
        if item["@id"] == name:
            item |= {"sha256": entry["sha256"], "contentSize": f"{len(raw)} B"}
    path.write_text(json.dumps(value))


def damage(folder: Path) -> None:
    path = folder / "data/qrels/find-test-00000.parquet"
    raw = bytearray(path.read_bytes())
    raw[8:40] = bytes(32)
    path.write_bytes(raw)


FOLDER_FAULTS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "table digest": (
        lambda f: change_rows(f, "queries/find-test", lambda rows: rows[1].update(text="a bird")),
        {"table digest", "content digest"},
    ),
    "content digest": (
        lambda f: change_manifest(f, lambda m: m.update(content_sha256="0" * 64)),
        {"content digest"},
    ),
    "table without file": (
        lambda f: change_manifest(f, lambda m: m["tables"].update({"lists/find-test": "1" * 64})),
        {"table without file", "content digest"},
    ),
    "grade": (
        lambda f: change_rows(f, "qrels/find-test", lambda rows: rows[0].update(grade=2)),
        {"grade", "table digest", "content digest"},
    ),
    "grain types of a record": (
        lambda f: change_rows(f, "queries/find-test", lambda rows: rows[0].update(grains=rows[0]["grains"] * 2)),
        {"grain types of a record", "table digest", "content digest"},
    ),
    "digests of further images": (
        lambda f: change_rows(f, "corpus/image-test", lambda rows: rows[0].update(more_images_sha256=["a", "b"])),
        {"digests of further images", "unreadable table", "table digest", "content digest"},
    ),
    "span in the text": (
        lambda f: change_rows(f, "queries/find-test", lambda rows: rows[0]["grains"][0].update(end=99)),
        {"span in the text", "table digest", "content digest"},
    ),
    "unreadable file": (damage, {"unreadable file", "file digest", "croissant"}),
    "unreadable table": (
        lambda f: change_rows(f, "corpus/text-test", lambda rows: rows[0].update(text=None)),
        {"unreadable table", "table digest", "content digest"},
    ),
    "columns": (
        lambda f: change_manifest(f, lambda m: m["corpora"].update(text="image")),
        {"columns"},
    ),
    "counts": (
        lambda f: change_manifest(f, lambda m: m["counts"]["test"]["lists"].update(tell=5)),
        {"counts"},
    ),
    "missing file": (
        lambda f: (f / "data/lists/tell-test-00000.parquet").unlink(),
        {"missing file", "configuration", "configuration without files"},
    ),
    "stray file": (lambda f: (f / "data/lists/mine.txt").write_text("x"), {"stray file"}),
}


def test_a_sound_folder_has_no_problem(folder: Path) -> None:
    report = validated(folder)
    assert report.problems == []
    assert report.checked["qrels rows"] == 5


@pytest.mark.parametrize("rule", FOLDER_FAULTS)
def test_a_fault_of_a_folder_is_found(folder: Path, rule: str) -> None:
    fault, rules = FOLDER_FAULTS[rule]
    fault(folder)
    report = validated(folder)
    found = report.rules - ({"croissant"} if rule == "unreadable file" else set())
    assert rule in found
    assert found <= rules, [str(problem) for problem in report.problems]


def rewrite(folder: Path, table: str, held: pa.Table) -> None:
    """Put a table in the place of another that has the same rows."""
    name = f"data/{table}-00000.parquet"
    pq.write_table(held, folder / name)
    raw = (folder / name).read_bytes()
    entry = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), "rows": len(held)}
    change_manifest(folder, lambda m: m["files"].__setitem__(name, entry))


LISTS = ("grains", "image_grains", "more_images", "more_images_sha256", "violates", "corpus-ids", "image")


def by_hand(folder: Path) -> None:
    """Write the tables as pandas or Arrow would, without card and metadata."""
    for path in sorted((folder / "data").rglob("*.parquet")):
        rows = [dict(sorted(row.items())) for row in pq.read_table(path, partitioning=None).to_pylist()]
        kind = path.parent.name
        held = pa.Table.from_pylist(rows)
        known = pq.read_schema(path)
        for name in held.column_names:  # lists that are empty throughout have no type of their own
            if name in LISTS:
                at = held.column_names.index(name)
                held = held.set_column(at, name, pa.array([row[name] for row in rows], known.field(name).type))
        rewrite(folder, f"{kind}/{path.name.removesuffix('-00000.parquet')}", held)
    (folder / "README.md").unlink()
    (folder / "croissant.json").unlink()


def test_a_folder_written_by_hand_is_valid(folder: Path) -> None:
    by_hand(folder)
    assert pq.read_schema(folder / "data/qrels/find-test-00000.parquet").field("score").type == pa.int64()
    assert validated(folder).problems == []
    assert len(load_pool(Benchmark(folder), "find", "test").query_ids) == 2


def test_only_the_columns_that_differ_are_reported(folder: Path) -> None:
    by_hand(folder)
    held = pq.read_table(folder / "data/qrels/find-test-00000.parquet", partitioning=None)
    at = held.column_names.index("score")
    held = held.set_column(at, "score", held["score"].cast(pa.float64())).drop_columns(["origin"])
    rewrite(folder, "qrels/find-test", held)
    found = [(problem.where.partition(", ")[2], problem.got) for problem in validated(folder).problems]
    assert found == [("score", "double"), ("origin", "no such column")]


STATEMENTS: dict[str, tuple[Callable[[dict], object], str]] = {
    "digest": (lambda m: m.update(content_sha256="0" * 64), "content_sha256 is not the digest of tables"),
    "counts": (lambda m: m["counts"]["test"]["lists"].update(tell=5), "lists/tell-test"),
    "no count": (lambda m: m["counts"]["test"].pop("lists"), "counts lacks lists/tell-test"),
    "no counts": (lambda m: m.update(counts={}), "counts no rows"),
    "no tasks": (lambda m: m.update(tasks=[]), "no task of the manifest.*exclusions/find-test"),
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_manifest_that_contradicts_itself_is_refused_at_once(folder: Path, statement: str) -> None:
    change, said = STATEMENTS[statement]
    Benchmark(folder)
    change_manifest(folder, change)
    with pytest.raises(BenchmarkError, match=said):
        Benchmark(folder)


@pytest.mark.parametrize("named", [{"measures": ["hit_rate@0"]}, {"measures": ["rank_of_all"]}, {"main": "bogus"}])
def test_an_unknown_measure_is_refused_before_anything_is_read(folder: Path, named: dict) -> None:
    change_manifest(folder, lambda m: m["tasks"][0].update(named))
    with pytest.raises(BenchmarkError, match="measures and main of find"):
        load_pool(Benchmark(folder), "find", "test")
    assert validated(folder).rules == {"unknown measure"}
    assert str(validated(folder).problems[0]).count("got: ") == 1


def test_a_table_that_is_not_there_is_named(folder: Path) -> None:
    def drop(manifest: dict) -> None:
        for kind in ("files", "tables"):
            manifest[kind] = {name: of for name, of in manifest[kind].items() if "queries/tell" not in name}
        del manifest["counts"]["test"]["queries"]["tell"]
        digest = hashlib.sha256(json.dumps(manifest["tables"], sort_keys=True, separators=(",", ":")).encode())
        manifest["content_sha256"] = digest.hexdigest()

    change_manifest(folder, drop)
    with pytest.raises(BenchmarkError, match="no rows of queries/tell-test"):
        load_pool(Benchmark(folder), "tell", "test")


def test_every_rule_of_open_data_is_proved() -> None:
    proved = FAULTS.keys() | FOLDER_FAULTS.keys()
    named = set(rules_of("open_folder", "open_world", "images"))
    assert len(named) > 20
    assert named <= proved


def rules_of(*modules: str) -> Iterator[str]:
    for module in modules:
        for node in ast.walk(ast.parse((Path(mrbench.validate.__file__).parent / f"{module}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                place = {"problem": 0, "expect": 1}.get(node.func.attr)
                if place is not None and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                    yield node.args[place].value


@pytest.mark.parametrize("known", [0, 1, 7, 500])
def test_membership_is_that_of_numpy(known: int) -> None:
    drawn = np.random.default_rng(known)
    held = np.sort(drawn.integers(0, 900, known).astype(np.uint64))
    for size in (0, 1, 4, 300):
        values = drawn.integers(0, 1000, size).astype(np.uint64)
        assert (_is_in(values, held) == np.isin(values, held)).all()
