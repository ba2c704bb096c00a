"""The published page in a real browser: nothing planted runs, sorting works, and it fits a narrow screen."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mrbench" / "leaderboard"))

from mrbench.leaderboard.html import render_html
from result_samples import hostile, samples

from mrbench.leaderboard import boards

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason=f"no Chromium on the PATH (looked for {', '.join(NAMES)})"),
]
TITLE = "<title>MRBench leaderboard</title>"
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def _dom(page: str, folder: Path) -> str:
    """Return the document as it stands after the page has loaded."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder / 'profile'}", "--window-size=500,800", "--dump-dom", path.as_uri(),
        ],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def _probe(page: str, script: str, folder: Path) -> str:
    """Run a script at the end of the page, whose policy is taken out for it, and return the title that it sets."""
    page, count = POLICY.subn("", page)
    assert count == 1
    dom = _dom(page.replace("</body>", f"<script>{script}</script></body>"), folder)
    found = re.search(r"<title>(.*?)</title>", dom, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_hostile_names_do_not_run(tmp_path: Path) -> None:
    page = render_html(boards(hostile()))
    dom = _dom(page, tmp_path)
    assert TITLE in dom
    assert '<button type="button">' in dom, "the page's own script did not run, so the test shows nothing"
    assert "<img" not in dom
    # Escaping alone has to hold too, where a browser would not know the policy.
    assert TITLE in _dom(POLICY.sub("", page), tmp_path)


def test_the_policy_stops_a_script_that_got_into_the_page(tmp_path: Path) -> None:
    planted = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    page = render_html(boards(samples())).replace("</main>", f"{planted}</main>")
    assert TITLE in _dom(page, tmp_path)
    assert "<title>ran</title>" in _dom(POLICY.sub("", page), tmp_path)


def test_the_ranking_sorts_both_ways_and_keeps_missing_scores_last(tmp_path: Path) -> None:
    script = """
      const table = document.querySelector("table");
      const order = () => [...table.tBodies[0].rows].map((row) => row.cells[1].dataset.value).join(",");
      const click = (column) => { table.tHead.rows[0].cells[column].querySelector("button").click(); return order(); };
      const state = () => table.tHead.rows[0].cells[8].getAttribute("aria-sort");
      document.title = [click(1), click(8), state(), click(8), state()].join(";");
    """
    names, down, first, up, second = _probe(render_html(boards(samples())), script, tmp_path).split(";")
    scored = ["efficientnet-lite0", "conse", "big/clip-vit", "colour-histogram"]
    assert (first, second) == ("descending", "ascending")
    assert down.split(",") == [*scored, "constant", "random", "minilm"]
    assert up.split(",") == ["constant", "random", *scored[::-1], "minilm"]
    assert names.split(",") == sorted(names.split(","))


def test_a_narrow_screen_scrolls_tables_not_the_page(tmp_path: Path) -> None:
    script = """
      const page = document.documentElement, boxes = [...document.querySelectorAll(".scroll")];
      document.title = [page.scrollWidth <= page.clientWidth, boxes.some((b) => b.scrollWidth > b.clientWidth)].join();
    """
    for results in (samples(), hostile()):
        assert _probe(render_html(boards(results)), script, tmp_path) == "true,true"
