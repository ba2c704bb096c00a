"""The pages of the site as text: hostile text stays text, the policy holds, tables have labels, colours contrast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from result_samples import HOSTILE, hostile, result, samples, task, unsupported

from mrbench.leaderboard.reported import read_reported
from mrbench.leaderboard.site.pages import assets, pages
from mrbench.leaderboard.site.view import Site, views
from mrbench.leaderboard.standings import boards_with_results
from mrbench.results import Result
from mrbench.words import one_line

REPORTED = Path(__file__).parents[3] / "leaderboards/reported"


def rendered(results: Sequence[Result]) -> dict[str, str]:
    return dict(pages(Site(views(boards_with_results(results)), tuple(read_reported([REPORTED])))))


class Page(HTMLParser):
    """Collects the elements, attributes and text of a page, and checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_pages_show_hostile_text_as_text() -> None:
    calm = [
        result(f"m{i}", {"t2i": task(0.4, {f"g{i}": 0.4, "hair": 0.9}), "i2t": unsupported("x")}, digest=str(i))
        for i in range(len(HOSTILE))
    ]
    found, expected = rendered(hostile()), rendered(calm)
    plain = [Page(text) for text in expected.values()]
    tags = {tag for page in plain for tag, _ in page.tags}
    names = {name for page in plain for _, attributes in page.tags for name in attributes}
    shown = ""
    for text in found.values():
        page = Page(text)
        assert {tag for tag, _ in page.tags} <= tags
        assert {name for _, attributes in page.tags for name in attributes} <= names
        assert page.open == []
        assert all(not (a["href"] or "").startswith("javascript") for a in page.all("a"))
        shown += "".join(page.text)
    for text in HOSTILE:
        assert one_line(text) in shown


def test_pages_ask_for_nothing_and_allow_only_the_sites_own_files() -> None:
    own = {path for path, _ in assets()}
    for path, text in rendered(samples()).items():
        page = Page(text)
        policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy") or ""
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == "'self'"
        assert rules["base-uri"] == rules["form-action"] == "'none'"
        assert all("src" in script for script in page.all("script"))
        assert not page.all("style")
        root = "../" * path.count("/")
        linked = [script["src"] for script in page.all("script")] + [link["href"] for link in page.all("link")]
        assert {(link or "").removeprefix(root) for link in linked} <= own
        names = {name for _, attributes in page.tags for name in attributes}
        assert not names & {"style", "srcset", "action"}
        assert not any(name.startswith("on") for name in names)
    for path, content in assets():
        assert b"innerHTML" not in content, path
        assert b"url(" not in content, path


def test_every_link_between_pages_leads_somewhere() -> None:
    found = rendered(samples() + samples(pool="union"))
    files = {*found, "leaderboard.csv", "leaderboard.json", "leaderboard.tex", "leaderboard.md"}
    ids = {path: {a["id"] for _, a in Page(text).tags if "id" in a} for path, text in found.items()}
    for path, text in found.items():
        for link in Page(text).all("a"):
            target, _, fragment = (link["href"] or "").partition("#")
            if target.startswith("https://"):
                continue
            target = target.removeprefix("../") or path
            assert target in files, (path, link)
            if fragment and "=" not in fragment:
                assert fragment in ids[target], (path, link)


def test_tables_are_labelled_and_no_id_is_there_twice() -> None:
    for text in rendered(samples() + samples(pool="union")).values():
        page = Page(text)
        assert all(head.get("scope") in ("col", "row", "rowgroup") for head in page.all("th"))
        names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(set(names)) == len(names)
        wanted = {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes}
        assert wanted <= set(names)
        assert all({"aria-labelledby", "aria-label"} & set(a) for a in page.all("div") if a.get("role") == "region")


def test_models_that_take_some_tasks_are_ranked_on_them() -> None:
    text = rendered(samples())["index.html"]
    body = next(part for part in text.split("<tbody>") if "Take some tasks" in part)
    assert "efficientnet-lite0" in body
    row = next(row for row in body.split("<tr") if "efficientnet-lite0" in row)
    assert row.count("not taken") == 3
    assert ">#1</span>" in row
    assert "#2" in next(row for row in text.split("<tr") if ">conse<" in row)


def test_the_scale_has_chance_the_best_control_and_the_oracle() -> None:
    text = rendered(samples())["index.html"]
    foot = text[text.index("<tfoot>") : text.index("</tfoot>")]
    assert re.search(r"best control</th>.*?<td>0\.001<small><bdi>random</bdi>", foot, flags=re.DOTALL)
    assert re.search(r"oracle.*?<td>1\.000</td>", foot, flags=re.DOTALL)


def test_reported_numbers_stand_apart_with_their_source() -> None:
    text = rendered(samples())["index.html"]
    ranking, _, reported = text.partition('id="reported"')
    assert "LamRA-Ret-7B" in reported
    assert "LamRA-Ret-7B" not in ranking
    assert 'href="https://arxiv.org/abs/2606.20280"' in reported


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_measures_say_what_they_mean() -> None:
    said = "".join(Page(rendered(samples()[3:])["method.html"]).text)
    assert "the share of queries with a relevant candidate among the first ten (" in said
    assert "(higher is better; chance: 0.5)" in said


def test_the_first_view_is_small() -> None:
    many = [result(f"model {i}", dict.fromkeys(("t2i", "i2t", "i2i", "it2i"), task(0.01 * i))) for i in range(50)]
    loaded = {path: len(content) for path, content in assets()}
    first = len(rendered(many)["index.html"].encode()) + sum(
        loaded[f"assets/{name}"] for name in ("site.css", "heat.css", "core.js", "table.js")
    )
    assert first < 300_000


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast_on_every_heat_colour(theme: int) -> None:
    sheets = {path: content.decode() for path, content in assets()}
    root = re.search(r":root \{(.*?)\}", sheets["assets/site.css"], flags=re.DOTALL)
    assert root is not None
    pattern = r"--([a-z0-9]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\)"
    named = {name: tuple(bytes.fromhex(both[theme])) for name, *both in re.findall(pattern, root[1])}
    pills = {
        name: tuple(bytes.fromhex(both[theme])) for name, *both in re.findall(pattern, sheets["assets/queries.css"])
    }
    assert len(pills) == 8
    pairs = [(named["ink"], named["card"]), (named["soft"], named["card"]), (named["soft"], named["paper"])]
    pairs += [(named[name], named[on]) for name in ("accent", "good", "bad") for on in ("paper", "card")]
    pairs += [(named["ink"], named["warn"]), *((named["ink"], pill) for pill in pills.values())]
    for end in ("low", "high"):
        for k in range(11):
            mixed = tuple(a + (b - a) * k / 10 for a, b in zip(named["middle"], named[end], strict=True))
            pairs.append((named["ink"], mixed))
    for one, other in pairs:
        dark, light = sorted((_luminance(one), _luminance(other)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (one, other)
    assert set(re.findall(r"\.h(\d+) \{", sheets["assets/heat.css"])) == {str(step) for step in range(21)}
