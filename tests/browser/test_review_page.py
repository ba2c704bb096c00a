"""The review sheet in a real browser: keys, undo, what is kept, what is given out, and hostile captions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mrbench" / "review"))

from reviewed import write_reviewed, write_votes

from mrbench.benchmark import Benchmark
from mrbench.review import claims, read_votes, render_sheet
from mrbench.review.claims import judged

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason=f"no Chromium on the PATH (looked for {', '.join(NAMES)})"),
]
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
PRESS = """
  const press = (key, target = document) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const text = (selector) => document.querySelector(selector).textContent;
  const say = (value) => { document.title = JSON.stringify(value); };
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return write_reviewed(tmp_path_factory.mktemp("reviewed") / "small")


@pytest.fixture(scope="module")
def page(small: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_sheet(small, claims(small), tmp_path_factory.mktemp("page") / "page.html")


def _dom(page: str, folder: Path, width: int = 500) -> str:
    """Return the document as it stands after the page has loaded from a file."""
    return _opened(page, folder, width).stdout


def _opened(page: str, folder: Path, width: int = 500, *options: str) -> subprocess.CompletedProcess[str]:
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    assert BROWSER is not None
    return subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", *options,
            f"--user-data-dir={folder / 'profile'}", f"--window-size={width},800", "--dump-dom", path.as_uri(),
        ],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def _probe(page: str, script: str, folder: Path, width: int = 500) -> object:
    """Run a script after the page's own, whose policy is taken out for it, and return what it says."""
    page, count = POLICY.subn("", page)
    assert count == 1
    dom = _dom(page.replace("</body>", f"<script>{PRESS}{script}</script></body>"), folder, width)
    found = re.search(r"<title>(.*?)</title>", dom, flags=re.DOTALL)
    assert found is not None
    return json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def test_hostile_captions_do_nothing_under_the_policy(page: str, tmp_path: Path) -> None:
    dom = _dom(page, tmp_path)
    assert "<title>Review</title>" in dom
    assert "Claim 1 of 18" in dom, "the page's own script did not run, so the test shows nothing"
    assert '<img alt="photo of the candidate" src="data:image/jpeg' in dom
    # Escaping alone has to hold too, where a browser would not know the policy.
    walk = "for (let n = 0; n < 18; n++) press('ArrowRight'); say([document.images.length, document.scripts.length]);"
    assert _probe(page, walk, tmp_path) == [1, 3]


def test_the_policy_stops_what_got_into_the_page(page: str, tmp_path: Path) -> None:
    planted = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    broken = page.replace("</footer>", f"{planted}</footer>")
    assert "<title>Review</title>" in _dom(broken, tmp_path)
    assert "<title>ran</title>" in _dom(POLICY.sub("", broken), tmp_path)


def test_keys_vote_move_and_undo(page: str, tmp_path: Path) -> None:
    script = """
      const seen = [], pressed = () => document.querySelector('[aria-pressed="true"]')?.dataset.vote ?? null;
      const look = () => seen.push([text(".count").match(/Claim (\\d+)/)[1], pressed()].join());
      const field = document.getElementById("reviewer");
      press("y"); look();
      press("N"); look();
      press("u"); look();
      press("ArrowLeft"); look();
      press("ArrowLeft"); look();
      press("y"); look();
      press("z"); look();
      press("z"); look();
      press("y", field); look();
      press("q"); look();
      document.querySelector('[data-vote="no"]').click(); look();
      document.querySelector('[data-move="undo"]').click(); look();
      say([seen, text(".count")]);
    """
    seen, count = _probe(page, script, tmp_path)  # type: ignore[misc]
    assert seen == [
        *("2,", "3,", "4,", "3,unsure", "2,no", "3,unsure", "2,no", "3,"),
        *("3,", "3,", "4,", "3,"),
    ]
    assert "2 voted: 1 right, 1 wrong, 0 unsure" in count


@pytest.mark.slow
def test_votes_are_kept_for_the_next_visit_and_not_for_another_build(
    page: str, small: Benchmark, tmp_path: Path
) -> None:
    wait = "press('y'); press('n'); say(text('.count'));"
    assert "2 voted" in str(_probe(page, wait, tmp_path))
    again = str(_probe(page, "say(text('.count'));", tmp_path))
    assert "Claim 3 of 18" in again
    assert "2 voted: 1 right, 1 wrong" in again
    other = page.replace(small.digest, "0" * 64)
    assert "0 voted" in str(_probe(other, "say(text('.count'));", tmp_path))


def test_the_file_that_is_given_out_is_read(page: str, small: Benchmark, tmp_path: Path) -> None:
    script = """
      const given = [];
      const real = URL.createObjectURL;
      URL.createObjectURL = (blob) => { given.push(blob); return real.call(URL, blob); };
      document.getElementById("reviewer").value = "Ann </script>";
      document.getElementById("reviewer").dispatchEvent(new Event("input"));
      for (const key of ["y", "n", "u"]) press(key);
      HTMLAnchorElement.prototype.click = function () { given.push(this.download); };
      document.getElementById("download").click();
      const done = new XMLHttpRequest();
      done.open("GET", real.call(URL, given[0]), false);
      done.send();
      say([done.responseText, given[1]]);
    """.replace("</script>", "<\\/script>")
    said, name = _probe(page, script, tmp_path)  # type: ignore[misc]
    assert name == "votes-Ann-script-.json"
    (tmp_path / "votes.json").write_text(said)
    (ballot,) = read_votes([tmp_path / "votes.json"], small.digest, judged(small))
    assert ballot.reviewer == "ann </script>"  # a person is told by the name without capitals
    assert list(ballot.votes.values()) == ["yes", "no", "unsure"]
    assert list(ballot.votes) == [one.key for one in claims(small)[:3]]
    mine = {(key[2], key[3]): vote for key, vote in ballot.votes.items()}
    by_hand = json.loads(write_votes(tmp_path / "v.json", small.digest, "Ann </script>", mine).read_text())
    assert by_hand == json.loads(said)


@pytest.mark.slow
def test_photos_by_path_are_shown(tmp_path: Path) -> None:
    benchmark = write_reviewed(tmp_path / "small", reference=tmp_path / "my photos")
    made = render_sheet(benchmark, claims(benchmark), tmp_path / "page.html", images="reference")
    script = "addEventListener('load', () => say(document.images[0].naturalWidth));"
    assert _probe(made, script, tmp_path) == 60
    refused = "Content Security Policy"
    assert refused not in _opened(made, tmp_path, 500, "--enable-logging=stderr").stderr
    embedding = made.replace("img-src file: ", "img-src data: ").replace("data: &#39;self&#39;", "data:")
    assert refused in _opened(embedding, tmp_path, 500, "--enable-logging=stderr").stderr


def test_it_fits_a_narrow_screen(page: str, tmp_path: Path) -> None:
    script = "const page = document.documentElement; say(page.scrollWidth <= page.clientWidth);"
    walk = f"for (let n = 0; n < 18; n++) press('ArrowRight'); {script}"
    assert _probe(page, script, tmp_path, 500) is True
    assert _probe(page, walk, tmp_path, 1280) is True
