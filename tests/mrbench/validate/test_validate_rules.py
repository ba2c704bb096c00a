"""For each rule of the checker, a benchmark that breaks this rule and no other."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from functools import wraps
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from png_bomb import png_header
from valid_benchmark import (
    SPLITS,
    VALUES,
    candidate,
    change_manifest,
    change_rows,
    picture,
    record_id,
    repair,
    scenes,
    split_of,
    targets,
    write_valid,
)

import mrbench.validate
from mrbench.benchmark import encode_png
from mrbench.benchmark.schema import candidate_row
from mrbench.errors import BenchmarkError, FormatVersionError
from mrbench.validate import validate
from mrbench.validate.report import MOST_PER_RULE, Report

BREAKS: dict[str, list] = {}


def breaks(rule: str, *also: str, mend: bool = True):
    """Register a mutation; ``also`` are rules that cannot but be broken together with it."""

    def add(mutate):
        BREAKS.setdefault(rule, []).append((mutate, {rule, *also}, mend))
        return mutate

    return add


def rows_of(table: str):
    """Turn a function of rows into a mutation of a folder."""

    def wrap(change):
        @wraps(change)
        def mutate(folder):
            change_rows(folder, table, change)

        return mutate

    return wrap


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> Path:
    return write_valid(tmp_path_factory.mktemp("valid") / "valid")


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(valid, tmp_path / "copy"))


def grain(kind: str, value: str, start: int | None = None, end: int | None = None) -> dict:
    return {"type": kind, "value": value, "start": start, "end": end}


def file_of(folder: Path, table: str) -> Path:
    return folder / f"data/{table}-00000.parquet"


# Files


@breaks("missing file", "configuration", "configuration without files", mend=False)
def _missing(folder):
    file_of(folder, "corpus/text-test").unlink()


@breaks("missing file", mend=False)
def _link_to_nothing(folder):
    inside = file_of(folder, "qrels/t2i-test")
    inside.unlink()
    inside.symlink_to("../../.git/annex/objects/gone.parquet")


@breaks("stray file", mend=False)
def _stray_behind_a_link(folder):
    outside = folder.parent / "qrels"
    shutil.move(folder / "data/qrels", outside)
    (folder / "data/qrels").symlink_to(outside, target_is_directory=True)
    (outside / "more.parquet").touch()
    (outside / "again").symlink_to(outside, target_is_directory=True)  # a cycle


@breaks("file size", mend=False)
def _size(folder):
    change_manifest(folder, lambda m: m["files"]["data/qrels/t2i-test-00000.parquet"].update(bytes=7))


@breaks("file digest", mend=False)
def _digest(folder):
    change_manifest(folder, lambda m: m["files"]["data/qrels/t2i-test-00000.parquet"].update(sha256="0" * 64))


@breaks("rows of a file", mend=False)
def _rows(folder):
    change_manifest(folder, lambda m: m["files"]["data/qrels/t2i-test-00000.parquet"].update(rows=7))


@breaks("unreadable file")
def _truncated(folder):
    path = file_of(folder, "qrels/t2i-test")
    path.write_bytes(path.read_bytes()[:-40])


@breaks("unreadable file", "rows of a file")
def _page_overwritten(folder):
    path = file_of(folder, "corpus/text-test")
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)
    path.write_bytes(data)


@breaks("columns")
def _columns(folder):
    path = file_of(folder, "queries/t2i-test")
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["instruction"]), path)


@breaks("file name", "configuration", "croissant", mend=False)
def _name(folder):
    new = "data/qrels/x2y-test-00000.parquet"
    shutil.copy(file_of(folder, "qrels/t2i-test"), folder / new)
    change_manifest(
        folder,
        lambda m: m["files"].update({new: m["files"]["data/qrels/t2i-test-00000.parquet"]}),
        croissant=False,
    )


@breaks("shard numbers")
def _shards(folder):
    old, new = (f"data/qrels/t2i-test-0000{n}.parquet" for n in (0, 1))
    (folder / old).rename(folder / new)
    change_manifest(folder, lambda m: m["files"].update({new: m["files"].pop(old)}))


@breaks("stray file", mend=False)
def _stray(folder):
    (folder / "data/qrels/.old.parquet").write_bytes(b"")


@breaks("table digest", mend=False)
def _table_digest(folder):
    change_manifest(folder, lambda m: m["tables"].update({"qrels/t2i-test": "0" * 64}))


@breaks("content digest", mend=False)
def _content_digest(folder):
    change_manifest(folder, lambda m: m.update(content_sha256="0" * 64))


@breaks("table without file", "content digest", mend=False)
def _table_without_file(folder):
    change_manifest(folder, lambda m: m["tables"].update({"qrels/t2i-validation": "0" * 64}))


@breaks("counts", mend=False)
def _counts(folder):
    change_manifest(folder, lambda m: m["counts"]["test"]["qrels"].update(t2i=7))


@breaks("counts", mend=False)
def _counts_of_an_absent_table(folder):
    change_manifest(folder, lambda m: m["counts"]["test"]["corpus"].update({"image,text": 7}))


# Rows


@breaks("null value")
@rows_of("qrels/t2i-test")
def _null(rows):
    rows[0]["violates"] = None


@breaks("null value")
@rows_of("corpus/image-test")
def _null_in_grain(rows):
    rows[0]["grains"][0]["value"] = None


@breaks("repeated id")
@rows_of("qrels/t2i-test")
def _repeated(rows):
    return [*rows, rows[0]]


@breaks("query id in two tasks", "unknown query", "relevant candidate without judgement")
def _repeated_in_another_task(folder):
    old, new = record_id("i2i", _wanted()), record_id("i2t", _wanted())
    for table in ("queries", "qrels", "top_ranked", "variants"):
        _rename(folder, f"{table}/i2i-test", {old: new})


def _wanted() -> dict[str, str]:

    return targets("test", tuple(VALUES))[0]


def _rename(folder: Path, table: str, names: dict[str, str]) -> None:
    def change(rows):
        for row in rows:
            for column, value in row.items():
                if isinstance(value, str):
                    row[column] = names.get(value, value)
                elif column == "corpus-ids":
                    row[column] = sorted(names.get(member, member) for member in value)

    change_rows(folder, table, change)


@breaks("id form")
def _id_form(folder):
    names = {}

    def change(rows):
        names[rows[0]["id"]] = "../../etc/passwd"
        rows[0]["id"] = "../../etc/passwd"

    change_rows(folder, "queries/t2i-test", change)
    for table in ("qrels/t2i-test", "top_ranked/t2i-test", "variants/t2i-test"):
        _rename(folder, table, names)


# Pictures


@breaks("pixel digest")
@rows_of("corpus/image-test")
def _swapped_pictures(rows):
    rows[0]["image"], rows[1]["image"] = rows[1]["image"], rows[0]["image"]


@breaks("unreadable picture")
@rows_of("corpus/image-test")
def _no_picture(rows):
    rows[0]["image"]["bytes"] = b"not a picture"


@breaks("unreadable picture")
@rows_of("queries/i2i-test")
def _half_a_picture(rows):
    rows[0]["image"]["bytes"] = rows[0]["image"]["bytes"][:60]


@breaks("unreadable picture")
@rows_of("variants/i2i-test")
def _jpeg(rows):
    buffer = BytesIO()
    Image.new("RGB", (6, 6)).save(buffer, "JPEG")
    rows[0]["image"]["bytes"] = buffer.getvalue()


@breaks("picture too large")
@rows_of("corpus/image-test")
def _bomb(rows):
    rows[0]["image"]["bytes"] = png_header(9000, 9000)


@breaks("picture mode")
@rows_of("corpus/image-test")
def _transparent(rows):
    buffer = BytesIO()
    Image.open(BytesIO(rows[0]["image"]["bytes"])).convert("RGBA").save(buffer, "PNG")
    rows[0]["image"]["bytes"] = buffer.getvalue()


@breaks("picture size")
@rows_of("variants/i2i-test")
def _other_size(rows):
    image = encode_png(Image.new("RGB", (7, 6)))
    rows[0] |= {"image": {"bytes": image.data, "path": None}, "image_sha256": image.sha256}


# Records


@breaks("grain types of a record")
def _type_twice(folder):
    judged = pq.read_table(file_of(folder, "qrels/i2t-test"), columns=["corpus-id"], partitioning=None)
    ids = set(judged["corpus-id"].to_pylist())

    def change(rows):
        row = next(row for row in rows if row["id"] not in ids)
        values = {g["type"]: g["value"] for g in row["grains"]}
        row["grains"] += 2 * [grain("frame", "0")]
        row["grains"][-1]["value"] = next(
            str(n) for n in range(99) if _split([*values.items(), ("frame", "0"), ("frame", str(n))]) == "test"
        )

    change_rows(folder, "corpus/text-test", change)


def _split(pairs) -> str:
    compact = json.dumps(sorted(map(list, pairs)), separators=(",", ":"))
    return "train" if hashlib.sha256(compact.encode()).digest()[0] < 128 else "test"


@breaks("span in the text")
@rows_of("corpus/text-test")
def _span_beyond(rows):
    rows[0]["grains"][-1]["end"] = 900


@breaks("span in the text")
@rows_of("corpus/text-test")
def _empty_span(rows):
    rows[0]["grains"][0]["end"] = rows[0]["grains"][0]["start"]


@breaks("span in the text")
@rows_of("corpus/image-test")
def _span_without_text(rows):
    rows[0]["grains"][0] |= {"start": 0, "end": 1}


@breaks("spans apart")
@rows_of("corpus/text-test")
def _overlap(rows):
    rows[0]["grains"][1]["start"] = rows[0]["grains"][0]["start"]


@breaks("span of whole words")
@rows_of("corpus/text-test")
def _half_a_word(rows):
    rows[0]["grains"][0]["end"] -= 1


@breaks("span of whole words")
@rows_of("queries/t2i-test")
def _span_with_a_space(rows):
    rows[0]["grains"][0]["end"] += 1


@breaks("instruction")
@rows_of("queries/t2i-test")
def _no_instruction(rows):
    rows[0]["instruction"] = " "


@breaks("empty text", "span in the text")
@rows_of("corpus/text-test")
def _no_text(rows):
    rows[0]["text"] = " "


@breaks("grain that the text does not state", "variant differs where its grain was")
@rows_of("queries/t2i-test")
def _unstated(rows):
    rows[0]["grains"][0] |= {"start": None, "end": None}


@breaks("changed grain is another one")
def _nothing_changed(folder):
    def change(rows):
        rows[0]["image_grains"] = [dict(g, start=None, end=None) for g in rows[0]["grains"]]

    change_rows(folder, "queries/it2i-test", change)


@breaks("grain that nothing states")
@rows_of("queries/it2i-test")
def _said_by_nothing(rows):

    asked = {g["type"]: g["value"] for g in rows[0]["grains"]}
    shown = next(v for v in scenes("test") if v["entity"] != asked["entity"] and v["place"] != asked["place"])
    rows[0]["image_grains"] = [grain(kind, value) for kind, value in shown.items()]


@breaks("grains of the picture", "grain that nothing states")
@rows_of("queries/i2i-test")
def _picture_shows_something_else(rows):
    rows[0]["image_grains"] = rows[1]["image_grains"]


@breaks("grains of the picture")
@rows_of("queries/i2i-test")
def _picture_shows_more(rows):

    shown = {g["type"]: g["value"] for g in rows[0]["image_grains"]}
    kind = next(n for n in range(99) if split_of({**shown, "frame": str(n)}) == "test")
    rows[0]["image_grains"].append(grain("frame", str(kind)))


@breaks("text that changes nothing", "grain that nothing states", "variant differs where its grain was")
@rows_of("queries/it2i-test")
def _changes_nothing(rows):
    for part in rows[0]["grains"]:
        part |= {"start": None, "end": None}


@breaks("split shares", mend=False)
def _shares(folder):
    change_manifest(folder, lambda m: m["split_rule"].update(shares=[["train", 0.5], ["test", 0.4]]))


@breaks("split shares", "sums of the splits", mend=False)
def _no_rule(folder):
    change_manifest(folder, lambda m: m.update(split_rule={}))


@breaks("sums of the splits", mend=False)
def _sums(folder):
    change_manifest(folder, lambda m: m["split_rule"]["combinations"]["test"].update(records=7))


@breaks("split of a combination")
def _moved_combination(folder):

    new = candidate_row(candidate("text", {**scenes("train")[0]}))
    new["text"], new["id"] = "Over there: " + new["text"], "0" * 16
    for part in new["grains"]:
        part |= {"start": part["start"] + 12, "end": part["end"] + 12}
    change_rows(folder, "corpus/text-test", lambda rows: [*rows, new])


# Judgements


@breaks("grade")
@rows_of("qrels/t2i-test")
def _grade(rows):
    rows[0]["grade"] += 1


@breaks("violates")
@rows_of("qrels/t2i-test")
def _violates(rows):
    rows[0]["violates"] = [*rows[0]["violates"], "frame"]


@breaks("violates")
@rows_of("qrels/t2i-test")
def _violates_in_disorder(rows):
    row = next(row for row in rows if len(row["violates"]) > 1)
    row["violates"] = row["violates"][::-1]


@breaks("score")
@rows_of("qrels/t2i-test")
def _score(rows):
    rows[0]["score"] = 1 - rows[0]["score"]


def _outside_ladders(folder, relevance: int) -> int:
    rows = pq.read_table(file_of(folder, "qrels/t2i-test"), partitioning=None).to_pylist()
    ladders = pq.read_table(file_of(folder, "top_ranked/t2i-test"), partitioning=None).to_pylist()
    members = {(row["query-id"], member) for row in ladders for member in row["corpus-ids"]}
    return next(
        number
        for number, row in enumerate(rows)
        if row["score"] == relevance and (row["query-id"], row["corpus-id"]) not in members
    )


@breaks("relevant candidate without judgement")
def _missing_relevant(folder):
    number = _outside_ladders(folder, 1)
    change_rows(folder, "qrels/t2i-test", lambda rows: rows[:number] + rows[number + 1 :])


@breaks("ladder member without judgement")
@rows_of("qrels/t2i-test")
def _removed_grade(rows):
    number = next(n for n, row in enumerate(rows) if not row["score"])
    return rows[:number] + rows[number + 1 :]


@breaks("query without relevant candidate", "relevant candidate without judgement", "ladder member without judgement")
@rows_of("qrels/i2i-test")
def _no_relevant(rows):
    return [row for row in rows if row["query-id"] != rows[0]["query-id"]]


@breaks("query without ladder")
@rows_of("top_ranked/i2i-test")
def _no_ladder(rows):
    return rows[1:]


@breaks("unknown query")
@rows_of("variants/t2i-test")
def _unknown_query(rows):
    rows[0]["query-id"] = "0" * 16


@breaks("unknown query")
def _query_of_another_split(folder):
    (other,) = pq.read_table(file_of(folder, "variants/i2i-train"), partitioning=None).slice(0, 1).to_pylist()
    change_rows(folder, "variants/i2i-test", lambda rows: [*rows, other])


@breaks("unknown candidate")
def _candidate_of_another_modality(folder):
    (text,) = pq.read_table(file_of(folder, "corpus/text-test"), partitioning=None).slice(0, 1).to_pylist()

    def change(rows):
        number = next(n for n, row in enumerate(rows) if not row["score"])
        rows.append({**rows[number], "corpus-id": text["id"]})

    change_rows(folder, "qrels/t2i-test", change)


@breaks("task and modality")
@rows_of("queries/t2i-test")
def _task(rows):
    rows[0]["task"] = "i2t"


@breaks("task and modality")
@rows_of("corpus/text-test")
def _modality(rows):
    rows[0]["modality"] = "image"


@breaks("query in the corpus")
def _query_in_corpus(folder):
    (query,) = pq.read_table(file_of(folder, "queries/i2i-test"), partitioning=None).slice(0, 1).to_pylist()
    change_rows(
        folder,
        "corpus/image-test",
        lambda rows: next(r for r in rows if r["grains"] != query["grains"]).update(
            {key: query[key] for key in ("image", "image_sha256")}
        ),
    )


@breaks("equal candidates")
@rows_of("corpus/image-test")
def _equal_candidates(rows):
    rows[1] |= {key: rows[0][key] for key in ("image", "image_sha256")}


@breaks("candidate that shows more")
def _shows_more(folder):

    new = {}

    def change(rows):
        asked = _wanted()
        number = next(n for n in range(99) if split_of({**asked, "frame": str(n)}) == "test")
        image = picture({**asked}, 77)
        new.update(
            id="f" * 16,
            modality="image",
            image={"bytes": image.data, "path": None},
            image_sha256=image.sha256,
            grains=[grain(kind, value) for kind, value in {**asked, "frame": str(number)}.items()],
        )
        return [*rows, new]

    change_rows(folder, "corpus/image-test", change)
    for task in ("t2i", "i2i", "it2i"):
        queries = pq.read_table(file_of(folder, f"queries/{task}-test"), partitioning=None).to_pylist()
        values = {grain["type"]: grain["value"] for grain in new["grains"]}
        judged = [
            {"query-id": q["id"], "corpus-id": new["id"], "score": 1, "grade": len(q["grains"]), "violates": []}
            for q in queries
            if all(values.get(part["type"]) == part["value"] for part in q["grains"])
        ]
        change_rows(folder, f"qrels/{task}-test", lambda rows, judged=judged: rows + judged)


@breaks("ladder sorted and distinct")
@rows_of("top_ranked/t2i-test")
def _unsorted(rows):
    rows[0]["corpus-ids"] = rows[0]["corpus-ids"][::-1]


@breaks("ladder sorted and distinct")
@rows_of("top_ranked/t2i-test")
def _member_twice(rows):
    rows[0]["corpus-ids"] = sorted([*rows[0]["corpus-ids"], rows[0]["corpus-ids"][0]])


@breaks("positive outside its ladder")
@rows_of("top_ranked/t2i-test")
def _positive_outside(rows):
    rows[0]["positive-id"] = "0" * 16


@breaks("positive has the grains of the query")
def _positive_is_not_relevant(folder):
    change_rows(
        folder,
        "top_ranked/i2i-test",
        lambda rows: rows[0].update(
            {"positive-id": next(m for m in rows[0]["corpus-ids"] if m != rows[0]["positive-id"])}
        ),
    )


@breaks("ladder without a one-off")
def _dropped_one_off(folder):
    judged = pq.read_table(file_of(folder, "qrels/i2i-test"), partitioning=None).to_pylist()

    def change(rows):
        gone = {j["corpus-id"] for j in judged if j["query-id"] == rows[0]["query-id"] and j["violates"] == ["place"]}
        rows[0]["corpus-ids"] = [member for member in rows[0]["corpus-ids"] if member not in gone]

    change_rows(folder, "top_ranked/i2i-test", change)


# Variants


@breaks("changed grain of the query")
@rows_of("variants/i2i-test")
def _dropped_what_was_not_there(rows):
    rows[0]["grain"] = "frame"


@breaks("variant differs where its grain was")
def _nothing_dropped(folder):
    queries = pq.read_table(file_of(folder, "queries/t2i-test"), partitioning=None).to_pylist()

    def change(rows):
        rows[0]["text"] = next(q["text"] for q in queries if q["id"] == rows[0]["query-id"])

    change_rows(folder, "variants/t2i-test", change)


@breaks("kind of a variant")
@rows_of("variants/t2i-test")
def _unknown_kind(rows):
    next(row for row in rows if row["kind"] == "degrained")["kind"] = "other"


@breaks("positive of a variant")
@rows_of("variants/t2i-test")
def _flip_that_asks_for_the_positive(rows):
    flip = next(row for row in rows if row["kind"] == "flipped")
    same = next(r for r in rows if r["query-id"] == flip["query-id"] and r["kind"] == "degrained")
    flip["positive-id"] = same["positive-id"]


@breaks("positive of a variant")
@rows_of("variants/i2i-test")
def _paraphrase_that_asks_for_another(rows):
    paraphrase = next(row for row in rows if row["kind"] == "paraphrased")
    flip = next(r for r in rows if r["query-id"] == paraphrase["query-id"] and r["kind"] == "flipped")
    paraphrase["positive-id"] = flip["positive-id"]


@breaks("paraphrase keeps all grains")
@rows_of("variants/t2i-test")
def _paraphrase_with_a_grain(rows):
    next(row for row in rows if row["kind"] == "paraphrased")["grain"] = "count"


@breaks("variant differs from its query")
def _paraphrase_that_repeats(folder):
    queries = pq.read_table(file_of(folder, "queries/t2i-test"), partitioning=None).to_pylist()

    def change(rows):
        row = next(row for row in rows if row["kind"] == "paraphrased")
        row["text"] = next(q["text"] for q in queries if q["id"] == row["query-id"])

    change_rows(folder, "variants/t2i-test", change)


# Contamination and facts


@breaks("test content in train")
def _contaminated(folder):
    (row,) = pq.read_table(file_of(folder, "corpus/image-train"), partitioning=None).slice(0, 1).to_pylist()
    change_rows(
        folder,
        "corpus/image-test",
        lambda rows: rows[0].update({key: row[key] for key in ("image", "image_sha256")}),
    )


@breaks("tasks of the manifest", mend=False)
def _one_task_less(folder):
    change_manifest(folder, lambda m: m.update(tasks=m["tasks"][1:]))


@breaks("grain types of the manifest", mend=False)
def _grain_types(folder):
    change_manifest(folder, lambda m: m.update(grain_types=["count"]))


# Beside the data


@breaks("data card", mend=False)
def _card(folder):
    (folder / "README.md").write_text("no header")


@breaks("data card", mend=False)
def _no_card(folder):
    (folder / "README.md").unlink()


@breaks("configuration", mend=False)
def _card_lacks_a_configuration(folder):
    path = folder / "README.md"
    path.write_text(path.read_text().replace("config_name: i2t-qrels", "config_name: other"))


@breaks("configuration without files", "configuration", mend=False)
def _card_points_nowhere(folder):
    path = folder / "README.md"
    path.write_text(path.read_text().replace("data/variants/t2i-test-", "../variants/t2i-test-"))


@breaks("croissant", mend=False)
def _croissant(folder):
    path = folder / "croissant.json"
    path.write_text(path.read_text().replace('"sha256": "', '"sha256": "f', 1))


@breaks("croissant", mend=False)
def _croissant_not_json(folder):
    (folder / "croissant.json").write_text("{")


CASES = [
    pytest.param(*case, id=f"{rule}-{case[0].__name__.strip('_')}") for rule, cases in BREAKS.items() for case in cases
]


def test_valid(valid: Path) -> None:
    report = validate(valid)
    assert report.problems == []
    assert report.checked["grades"] == sum(
        pq.read_metadata(file_of(valid, f"qrels/{task}-{split}")).num_rows
        for task in ("t2i", "i2t", "i2i", "it2i")
        for split in SPLITS
    )
    assert report.checked["pictures"] > 100
    assert "pictures" not in validate(valid, images=False).checked


@pytest.mark.slow
@pytest.mark.parametrize(("mutate", "rules", "mend"), CASES)
def test_each_rule_alone(folder: Path, mutate, rules: set[str], mend: bool) -> None:
    mutate(folder)
    if mend:
        repair(folder)
    report = validate(folder)
    assert report.rules == rules, [str(problem) for problem in report.problems]
    assert all("\n" not in str(problem) for problem in report.problems)


def test_every_rule_is_proved() -> None:
    """Each rule named in the source of the checker of suites has a mutation above; of open data see test_open_rules."""
    named = set()
    for path in Path(mrbench.validate.__file__).parent.glob("*.py"):
        if path.stem in ("open_folder", "open_world", "images"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                place = {"problem": 0, "expect": 1}.get(node.func.attr)
                if place is not None and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                    named.add(node.args[place].value)
    assert len(named) > 40
    assert named <= BREAKS.keys()


def test_removing_one_grade_by_hand_is_found_by_digest_too(folder: Path) -> None:
    change_rows(folder, "qrels/t2i-test", lambda rows: rows[1:])
    assert {"file digest", "rows of a file", "table digest", "counts"} <= validate(folder).rules


def test_pictures_may_be_left_out(folder: Path) -> None:
    _swapped_pictures(folder)
    repair(folder)
    assert validate(folder, images=False).problems == []


def test_manifest_is_needed(folder: Path) -> None:
    change_manifest(folder, lambda m: None)
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 3'))
    with pytest.raises(FormatVersionError, match="newer"):
        validate(folder)
    path.unlink()
    with pytest.raises(BenchmarkError, match="no manifest"):
        validate(folder)


def test_problems_of_a_rule_are_counted_beyond_a_hundred() -> None:
    report = Report()
    for number in range(MOST_PER_RULE + 7):
        report.problem("rule", number)
    assert (len(report.problems), report.omitted) == (MOST_PER_RULE, {"rule": 7})
