"""The site in a real browser, from its folder and from a server, by mouse and by keyboard."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1] / "mrbench"
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS / "leaderboard"))

from result_samples import result, task  # noqa: E402
from site_samples import hostile_site, publish_with_queries, tiny_results  # noqa: E402
from tiny_benchmark import write_tiny  # noqa: E402

from mrbench.leaderboard import publish  # noqa: E402
from mrbench.results import GrainScore  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason=f"no Chromium on the PATH (looked for {', '.join(NAMES)})"),
]
PAGES = ("index.html", "grains.html", "explore.html", "compare.html", "method.html")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    benchmark = write_tiny(folder / "tiny")
    return publish_with_queries(tiny_results(benchmark, folder / "results"), benchmark, folder / "out")


@pytest.fixture(scope="module")
def addresses(site: Path) -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {"file": site.as_uri(), "http": f"http://127.0.0.1:{server.server_port}"}
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page whose errors, messages and failed requests are in ``page.troubles``."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    made.troubles = []
    made.on("console", lambda message: made.troubles.append(message.text))
    made.on("pageerror", lambda error: made.troubles.append(str(error)))
    made.on("requestfailed", lambda request: _failed(made, request))
    made.on("dialog", lambda dialog: (made.troubles.append("a dialog"), dialog.dismiss()))
    yield made
    context.close()


def _failed(page: Any, request: Any) -> None:
    if request.failure != "net::ERR_ABORTED":  # the page was left before its icon had come
        page.troubles.append(request.url)


def _open(page: Any, address: str) -> None:
    page.goto("about:blank")  # a change of the fragment alone would load nothing
    page.goto(address)
    if "explore" in address:
        page.wait_for_selector(".query h2")
    if "compare" in address:
        page.wait_for_selector("#compare table, #compare .nothing")


def _all(site: Path) -> list[str]:
    return [*PAGES, *(f"models/{path.name}" for path in sorted((site / "models").iterdir()))]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_every_page_loads_without_a_word_on_the_console(
    scheme: str, page: Any, site: Path, addresses: dict[str, str]
) -> None:
    for path in _all(site):
        _open(page, f"{addresses[scheme]}/{path}")
    _open(page, f"{addresses[scheme]}/explore.html#b=b1&t=3")
    page.wait_for_function("[...document.images].slice(0, 3).every((image) => image.naturalWidth > 0)")
    assert page.locator(".query img").count() > 10
    assert page.troubles == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(width: int, page: Any, site: Path, addresses: dict[str, str]) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for path in _all(site):
        _open(page, f"{addresses['file']}/{path}")
        wide, screen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= screen, path
    if width == 1280:
        _open(page, f"{addresses['file']}/index.html")
        assert page.evaluate("[...document.querySelectorAll('.scroll')].every((e) => e.scrollWidth <= e.clientWidth)")


@pytest.fixture(scope="module")
def many_grains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one model and a control with twenty grain types, of which every value may be chance."""
    grains = {f"{number} entity of a photo": GrainScore(0.5, 120, (0.4, 0.6)) for number in range(20)}
    values = {"hit_rate@5": tuple(n % 2 * 1.0 for n in range(250))}
    part = replace(
        task(0.5), by_grain={"pair_accuracy": grains}, per_query=values, clusters=tuple(map(str, range(250)))
    )
    made = [result(name, {"t2i": part, "i2t": part}) for name in ("random", "conse")]
    folder = tmp_path_factory.mktemp("many") / "out"
    publish(made, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_word_runs_out_of_its_cell(width: int, page: Any, many_grains: Path, site: Path) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    over = """[...document.querySelectorAll("td, th")].filter((cell) => cell.scrollWidth > cell.clientWidth + 1)
        .map((cell) => cell.textContent.trim())"""
    for folder in (many_grains, site):
        for path in ("index.html", "grains.html", "compare.html"):
            _open(page, f"{folder.as_uri()}/{path}")
            assert page.evaluate(over) == [], path


@pytest.mark.slow
def test_a_printed_page_is_no_wider_than_the_paper(page: Any, many_grains: Path, site: Path) -> None:
    page.set_viewport_size({"width": 1000, "height": 700})
    page.emulate_media(media="print")
    for folder in (many_grains, site):
        for path in ("index.html", "grains.html", "compare.html", "method.html"):
            _open(page, f"{folder.as_uri()}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 1000, path
            assert not page.locator(".bar").is_visible()


def test_text_on_the_systems_background_has_the_systems_colour(page: Any, many_grains: Path) -> None:
    page.emulate_media(forced_colors="active", color_scheme="light")
    _open(page, f"{many_grains.as_uri()}/grains.html")
    kept = "(cell) => getComputedStyle(cell).forcedColorAdjust"
    assert page.locator(".heat tr:not(.control) td").first.evaluate(kept) == "none"
    assert page.locator(".heat .control td").first.evaluate(kept) == "auto"
    assert page.locator(".heatkey i").first.evaluate(kept) == "none"


def test_compare_opens_on_two_models_where_only_one_is_no_control(page: Any, many_grains: Path) -> None:
    _open(page, f"{many_grains.as_uri()}/compare.html")
    shown = page.locator(".tools select").evaluate_all("(all) => all.map((one) => one.selectedOptions[0].label)")
    assert shown[1:] == ["conse", "random (control)"]
    assert page.locator("#compare tbody th").first.inner_text().startswith("conse − random")


def test_compare_says_so_where_there_is_one_model(page: Any, tmp_path: Path) -> None:
    publish([result("conse", {"t2i": task(0.5)})], tmp_path / "out")
    _open(page, f"{(tmp_path / 'out').as_uri()}/compare.html")
    assert "one model" in page.locator("#compare .nothing").inner_text()


def _models(page: Any) -> list[str]:
    return page.locator("tbody tr[data-row]:visible th").all_inner_texts()


def test_the_ranking_sorts_filters_and_hides_and_the_address_keeps_it(page: Any, addresses: dict[str, str]) -> None:
    _open(page, f"{addresses['file']}/index.html")
    names = _models(page)
    page.get_by_role("button", name="Model").click()
    assert sorted(_models(page)[:4]) == _models(page)[:4] != names[:4]
    page.get_by_role("button", name="Model").press("Enter")
    assert sorted(_models(page)[:4], reverse=True) == _models(page)[:4]
    page.get_by_label("Filter models").fill("count")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Rank").uncheck()
    assert _models(page) == ["no count"]
    page.reload()
    assert _models(page) == ["no count"]
    assert not page.locator("th", has_text="Rank").first.is_visible()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Model")


def test_queries_by_mouse(page: Any, addresses: dict[str, str]) -> None:
    _open(page, f"{addresses['file']}/explore.html")
    page.get_by_label("Model A").select_option(label="oracle")
    page.get_by_label("Model B").select_option(label="constant")
    page.get_by_label("Right means").select_option("1")
    page.get_by_label("Show").select_option("ab")
    picks = page.locator("button.pick")
    playwright.expect(page.get_by_role("status")).to_contain_text("8 queries")
    picks.nth(2).click()
    wanted = picks.nth(2).locator("bdi").inner_text()
    playwright.expect(page.locator(".said")).to_have_text(wanted)
    assert page.locator(".found section").count() == 2
    assert page.locator(".results").first.locator("li").count() == 10
    assert page.locator(".cards .right").count() >= 1
    address = page.url
    _open(page, address)
    playwright.expect(page.locator(".said")).to_have_text(wanted)
    page.get_by_label("Show").select_option("ba")
    playwright.expect(page.locator(".nothing")).to_have_text("No query is like that.")
    page.get_by_label("Show").select_option("lost")
    page.get_by_label("Model A").select_option(label="no count")
    page.get_by_label("Asks for").select_option(label="count")
    playwright.expect(page.locator(".results").first.locator("li").first).to_contain_text("lost: count")
    assert page.troubles == []


def test_queries_by_keyboard(page: Any, addresses: dict[str, str]) -> None:
    _open(page, f"{addresses['file']}/explore.html")
    page.get_by_label("Order").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("location.hash.includes('o=margin')")
    playwright.expect(page.get_by_label("Order")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className === 'pick'"):
            break
    page.keyboard.press("Tab")
    text = page.evaluate("document.activeElement.querySelector('bdi').textContent")
    page.keyboard.press("Enter")
    playwright.expect(page.locator(".said")).to_have_text(text)
    playwright.expect(page.locator("button.pick[aria-current]")).to_be_focused()


def test_models_are_compared(page: Any, addresses: dict[str, str]) -> None:
    _open(page, f"{addresses['file']}/compare.html")
    page.get_by_label("Model A").select_option(label="oracle")
    page.get_by_label("Model B").select_option(label="constant")
    cell = page.locator("#compare table").first.locator("tbody tr").first.locator("td").first
    playwright.expect(page.locator("#compare tbody th").first).to_contain_text("oracle − constant")
    forward = cell.inner_text()
    assert forward.startswith("+")
    page.locator("#wins a").first.wait_for()
    row = page.locator("#wins tbody tr").first.locator("td").all_inner_texts()
    assert row[0] == "8"
    assert row[2] == "0"
    page.locator("#wins a").first.click()
    page.wait_for_selector(".query h2")
    page.go_back()
    page.get_by_label("Model A").select_option(label="constant")
    page.get_by_label("Model B").select_option(label="oracle")
    playwright.expect(page.locator("#compare tbody th").first).to_contain_text("constant − oracle")
    assert cell.inner_text() == forward.replace("+", "−")
    assert page.troubles == []


def test_tables_are_there_without_scripts(browser: Any, addresses: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{addresses['file']}/index.html")
    assert "oracle" in page.locator("table").first.inner_text()
    page.goto(f"{addresses['file']}/explore.html")
    assert "shown by a script" in page.locator("main").inner_text()
    context.close()


HANDLERS = """[...document.querySelectorAll('*')].flatMap((e) => [...e.attributes]).filter((a) => /^on/.test(a.name))"""


@pytest.mark.slow
def test_nothing_hostile_runs(page: Any, tmp_path: Path) -> None:
    site = hostile_site(tmp_path)
    for path in _all(site):
        _open(page, f"{site.as_uri()}/{path}")
        assert "ran" not in page.title().split()
        assert page.locator("img:not([loading])").count() == 0
        assert page.evaluate(f"{HANDLERS}.length") == 0
        assert page.evaluate("[...document.links].every((a) => ['file:', 'https:'].includes(a.protocol))")
    _open(page, f"{site.as_uri()}/explore.html")
    for pick in range(3):
        page.locator("button.pick").nth(pick).click()
        page.wait_for_timeout(50)
    assert "\u202e" not in page.content()
    assert page.evaluate(f"{HANDLERS}.length") == 0
    assert page.troubles == []


def test_the_policy_stops_what_is_planted(page: Any, site: Path, tmp_path: Path) -> None:
    copied = tmp_path / "site"
    shutil.copytree(site, copied)
    planted = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    text = (copied / "index.html").read_text(encoding="utf-8").replace("</main>", f"{planted}</main>")
    (copied / "index.html").write_text(text, encoding="utf-8")
    _open(page, f"{copied.as_uri()}/index.html")
    assert page.title() != "ran"
    (copied / "index.html").write_text(text.replace("Content-Security-Policy", "x"), encoding="utf-8")
    _open(page, f"{copied.as_uri()}/index.html")
    assert page.title() == "ran"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme: str, browser: Any, site: Path, addresses: dict[str, str]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    for path in _all(site)[:6]:
        _open(page, f"{addresses['http']}/{path}")
        found = axe.Axe().run(page).response["violations"]
        bad = [(v["id"], v["nodes"][0]["html"][:160]) for v in found if v["impact"] in ("serious", "critical")]
        assert bad == [], path
    context.close()
