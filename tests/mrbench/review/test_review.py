"""What is reviewed, what votes say, and what they change."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from reviewed import HOSTILE, write_reviewed, write_votes
from sklearn.metrics import cohen_kappa_score

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, OutputError
from mrbench.review import agreement, apply_votes, claims, read_votes, render_sheet
from mrbench.review.agreement import kappa
from mrbench.review.claims import judged, kind_of
from mrbench.review.page import _plain
from mrbench.validate import validate_open

Y, N, U = "yes", "no", "unsure"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return write_reviewed(tmp_path_factory.mktemp("reviewed") / "small")


def mrbench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mrbench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# The sheet


def test_what_a_judge_said_is_reviewed_and_nothing_else(small: Benchmark) -> None:
    found = claims(small)
    assert len(found) == 18
    assert all(one.judgement.origin == "judge:rules" for one in found)
    assert claims(small, 5) == found[:5]
    texts = {one.kind: one.text for one in found}
    assert texts == {
        "relevant": "The candidate is relevant: it keeps every grain of the query.",
        "colour": "The candidate contradicts the query's colour (red), and keeps everything else.",
        "several grains": "The candidate contradicts the query's colour (red) and entity (dog), and keeps everything "
        "else.",
    }
    assert {one.kind for one in claims(small, None, ["colour"])} == {"colour"}
    with pytest.raises(InputError, match=r"no judgement of this kind.*'size'.*colour, relevant, several grains"):
        claims(small, None, ["size"])


def test_every_photo_is_in_the_page_once(small: Benchmark, tmp_path: Path) -> None:
    page = render_sheet(small, claims(small), tmp_path / "sheet.html")
    assert page.count("data:image/jpeg;base64,") == 6
    assert re.search(r"(src|href)=[\"']?http", page) is None
    assert small.digest in page


def test_a_hostile_caption_is_data(small: Benchmark, tmp_path: Path) -> None:
    page = render_sheet(small, claims(small), tmp_path / "sheet.html")
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "Small photos <b>" not in page
    sheet = json.loads(re.search(r'id="sheet">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    shown = {"".join(part for part, _ in item["query"]["text"]) for item in sheet["items"]}
    assert _plain(HOSTILE) in shown
    assert "</script><script>document.title" in _plain(HOSTILE)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f]", json.dumps(sheet, ensure_ascii=False))


def test_photos_by_path_are_relative_to_the_page(small: Benchmark, tmp_path: Path) -> None:
    benchmark = write_reviewed(tmp_path / "small", reference=tmp_path / "my photos")
    page = render_sheet(benchmark, claims(benchmark), tmp_path / "pages" / "sheet.html", images="reference")
    assert '"../my%20photos/0.png"' in page
    assert "data:image" not in page
    with pytest.raises(InputError, match="holds its photos as bytes"):
        render_sheet(small, claims(small), tmp_path / "sheet.html", images="reference")


# The votes


def test_votes_of_two_people_change_the_benchmark(small: Benchmark, tmp_path: Path) -> None:
    ann = {
        ("q0", "1.png"): Y,
        ("q0", "2.png"): N,
        ("q0", "3.png"): N,
        ("q1", "2.png"): N,
        ("q1", "3.png"): Y,
        ("q2", "3.png"): U,
    }
    ben = {("q0", "1.png"): Y, ("q0", "2.png"): N, ("q0", "3.png"): N, ("q1", "2.png"): Y, ("q1", "3.png"): U}
    files = [
        write_votes(tmp_path / f"{name}.json", small.digest, name, votes)
        for name, votes in (("ann", ann), ("ben", ben))
    ]
    ballots = read_votes(files, small.digest, judged(small))
    manifest, found, end = apply_votes(small, ballots, tmp_path / "after")
    assert {key[2:] for key in end.rejected} == {("q0", "2.png"), ("q0", "3.png")}
    assert {key[2:] for key in end.disputed} == {("q1", "2.png")}
    assert {key[2:] for key in end.accepted} == {("q0", "1.png"), ("q1", "3.png")}
    assert {key[2:] for key in end.undecided} == {("q2", "3.png")}
    after = Benchmark(tmp_path / "after")
    origins = {(j.query_id, j.candidate_id): j.origin for j in after.judgements("t2i", "test")}
    assert ("q0", "2.png") not in origins
    assert origins["q1", "2.png"] == "human"
    assert origins["q0", "1.png"] == origins["q1", "3.png"] == "judge:rules"
    assert len(origins) == 24 - 2
    assert [ladder.query_id for ladder in after.ladders("t2i", "test")] == ["q1", "q2", "q3", "q4", "q5"]
    assert len(after.queries("t2i", "test")) == 6
    report, _ = validate_open(after.folder, after.manifest, images=True, workers=1, image_root=None)
    assert not report.problems
    card = (after.folder / "README.md").read_text()
    assert "Judged by `rules`." in card
    assert "2 people reviewed judgements" in card
    assert "2 were rejected and left; 1 are disputed" in card
    assert "Cohen's kappa over the 5 claims" in card
    assert "ann" not in (after.folder / "manifest.json").read_text().replace("annotat", "")
    assert manifest.builder["review"]["reviewed"] == small.digest
    assert found.shares[0].claims == 5
    assert found.shares[0].rate == pytest.approx((1 + 0 + 0 + 0.5 + 1) / 5)
    # the same votes, in another order of files and lines
    turned = [
        write_votes(tmp_path / "1.json", small.digest, "ben", dict(reversed(ben.items()))),
        write_votes(tmp_path / "2.json", small.digest, "ann", dict(reversed(ann.items()))),
    ]
    again, *_ = apply_votes(small, read_votes(turned, small.digest, judged(small)), tmp_path / "again")
    assert again.content_sha256 == manifest.content_sha256 != small.digest
    # the disputed judgement has been reviewed
    assert len(claims(after)) == 18 - 3


def test_a_query_without_anything_relevant_leaves(tmp_path: Path) -> None:
    benchmark = write_reviewed(tmp_path / "small", own_says="judge:rules")
    votes = {("q0", "0.png"): N, ("q0", "1.png"): N, ("q1", "1.png"): N}
    path = write_votes(tmp_path / "ann.json", benchmark.digest, "ann", votes)
    apply_votes(benchmark, read_votes([path], benchmark.digest, judged(benchmark)), tmp_path / "after")
    after = Benchmark(tmp_path / "after")
    left = {f"q{number}" for number in range(1, 6)}
    assert {query.id for query in after.queries("t2i", "test")} == left
    assert {one.query_id for one in after.variants("t2i", "test")} == left
    assert {one.query_id for one in after.judgements("t2i", "test")} == left
    assert {one.query_id for one in after.ladders("t2i", "test")} == left - {"q1"}  # whose positive was rejected
    assert len(after.corpus("image", "test")) == 6


def test_acceptance_has_an_interval_over_queries(small: Benchmark) -> None:
    kinds = {key: kind_of(one) for key, one in judged(small).items()}
    from mrbench.review import Ballot

    ballot = Ballot("ann", {key: N if key[2] == "q0" else Y for key in kinds})
    found = agreement([ballot], kinds)
    whole = found.shares[0]
    assert (whole.kind, whole.claims, round(whole.rate, 4)) == ("all", 18, 0.8333)
    assert whole.interval is not None
    low, high = whole.interval
    assert low < 0.55  # six queries, not eighteen claims
    assert 0.9 < high <= 1
    assert [one.kind for one in found.shares] == ["all", "colour", "relevant", "several grains"]
    assert found.kappa is None


def test_kappa_against_known_values() -> None:
    two = [[Y, Y], [Y, N], [N, N], [U, U], [Y, Y], [N, U]]
    assert kappa(two) == pytest.approx(cohen_kappa_score(*zip(*two, strict=True)))
    # Fleiss 1971 by hand: four claims, three people; P = (1 + 1/3 + 1 + 1/3) / 4, p = (7/12, 5/12)
    three = [[Y, Y, Y], [Y, Y, N], [N, N, N], [Y, N, Y]]
    expected = (7 / 12) ** 2 + (5 / 12) ** 2
    assert kappa(three) == pytest.approx((2 / 3 - expected) / (1 - expected))
    assert kappa([[Y, Y, Y], [Y, Y, Y]]) is None
    assert kappa([[Y], [N]]) is None
    assert kappa([]) is None


@pytest.mark.parametrize("name", ["ann", " Ann  ", "ANN", "a\u0308nn"])
def test_one_person_is_one_reviewer_however_the_name_is_typed(small: Benchmark, tmp_path: Path, name: str) -> None:
    first = "\u00e4nn" if "\u0308" in name else "ann"
    paths = [
        write_votes(tmp_path / f"{number}.json", small.digest, who, {("q0", "1.png"): Y})
        for number, who in enumerate((first, name))
    ]
    with pytest.raises(InputError, match=r"two files are of one reviewer; where: .*0\.json and .*1\.json"):
        read_votes(paths, small.digest, judged(small))


def test_claims_on_one_query_have_no_interval_and_say_so(small: Benchmark, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "v.json", small.digest, "ann", {("q0", "1.png"): Y})
    ran = mrbench("review", "apply", small.folder, votes, "--output", tmp_path / "after")
    assert ran.returncode == 0, ran.stderr
    rows = [line for line in ran.stdout.splitlines() if "right 1.000" in line]
    assert rows
    assert all(row.endswith("(one query alone)") for row in rows)
    assert "| 1 | 1.000 | one query alone |" in (tmp_path / "after/README.md").read_text()


def test_malformed_votes_are_one_line(small: Benchmark, tmp_path: Path) -> None:
    good = {("q0", "1.png"): Y}
    path = write_votes(tmp_path / "v.json", small.digest, "ann", good)
    raw = json.loads(path.read_text())
    known = judged(small)
    twin = write_votes(tmp_path / "twin.json", small.digest, "ann", good)
    with pytest.raises(InputError, match="two files are of one reviewer"):
        read_votes([path, twin], small.digest, known)
    vote = raw["votes"][0]
    for change, said in (
        ({"digest": "0" * 64}, "votes for another build"),
        ({"reviewer": " "}, "votes of nobody"),
        ({"format": "other"}, "not a file of votes"),
        ({"votes": []}, "no votes"),
        ({"votes": {"a": 1}}, "no votes"),
        ({"votes": [vote, vote]}, "two votes on one judgement"),
        ({"votes": [vote | {"vote": "maybe"}]}, "malformed vote"),
        ({"votes": [vote | {"query_id": 3}]}, "malformed vote"),
        ({"votes": ["yes"]}, "malformed vote"),
        ({"votes": [vote | {"candidate_id": "0.png"}]}, "no judge judged"),
    ):
        path.write_text(json.dumps(raw | change))
        with pytest.raises(InputError, match=said):
            read_votes([path], small.digest, known)
    path.write_text("{")
    with pytest.raises(InputError, match="unreadable file of votes"):
        read_votes([path], small.digest, known)


# The commands


@pytest.mark.slow
def test_the_commands_go_together(small: Benchmark, tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    done = mrbench("review", small.folder, "--sample", 7, "--output", page)
    assert done.returncode == 0, done.stderr
    assert "7 judgements to review" in done.stdout
    done = mrbench("review", small.folder, "--output", page)
    assert done.returncode == 2
    assert "the page exists" in done.stderr
    votes = write_votes(tmp_path / "votes.json", small.digest, "ann", {("q0", "2.png"): N, ("q1", "3.png"): Y})
    done = mrbench("review", "apply", small.folder, votes, "--output", tmp_path / "after", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["accepted"], said["rejected"], said["kappa"]["value"]) == (1, 1, None)
    assert said["digest"] == Benchmark(tmp_path / "after").digest
    other = write_votes(tmp_path / "other.json", "f" * 64, "ann", {("q0", "2.png"): N})
    done = mrbench("review", "apply", small.folder, other, "--output", tmp_path / "refused")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "votes for another build" in done.stderr
    assert not (tmp_path / "refused").exists()


def test_a_suite_without_a_judge_and_a_foreign_folder(tiny: Benchmark, small: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no judgement of a judge"):
        claims(tiny)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    votes = write_votes(tmp_path / "v.json", small.digest, "ann", {("q0", "2.png"): N})
    with pytest.raises(OutputError):
        apply_votes(small, read_votes([votes], small.digest, judged(small)), tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
