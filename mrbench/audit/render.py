"""The report as Markdown, JSON and a page, and its summary in the data card."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from mrbench.audit.findings import Check, Report, Row
from mrbench.errors import OutputError
from mrbench.files import write_atomic
from mrbench.pages import asset, environment, policy

FILES = {"markdown": "report.md", "json": "report.json", "html": "report.html"}
_HEADING = "## Audit"


def write_report(folder: Path, report: Report) -> dict[str, Path]:
    """Write ``report.md``, ``report.json`` and ``report.html`` into a folder, and return their paths.

    Raises:
        OutputError: The folder cannot be written, or holds a report of another kind.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("the output is not a folder", where=folder, accepted="a folder")
    for name in FILES.values():
        path = folder / name
        if path.exists() and not _is_ours(path):
            raise OutputError(
                "a file that MRBench did not write is in the way", where=path, hint="name another folder with --output"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write: {error.strerror}", where=folder) from error
    texts = {
        "markdown": render_markdown(report),
        "json": json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "html": render_html(report),
    }
    for kind, text in texts.items():
        write_atomic(folder / FILES[kind], text)
    return {kind: folder / name for kind, name in FILES.items()}


def _is_ours(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(400)
    return any(mark in start for mark in (b"# Audit of ", b"<title>Audit of ", b'"mrbench-audit"'))


def write_into_card(card: Path, report: Report) -> None:
    """Put the summary into a data card, in the place of an older one."""
    text = card.read_text(encoding="utf-8")
    section = "\n".join([_HEADING, "", *_summary(report), "", "Whole report: `audit/report.md`.", ""])
    old = re.compile(rf"^{_HEADING}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    # A function, so that nothing in the section is read as a group.
    text = old.sub(lambda _: section + "\n", text) if old.search(text) else text.rstrip("\n") + "\n\n" + section
    write_atomic(card, text)


def render_markdown(report: Report) -> str:
    """Return the report as Markdown."""
    lines = [f"# Audit of {report.benchmark['title']}", ""]
    lines += [f"Split {report.benchmark['split']}, content SHA-256 `{report.benchmark['digest']}`.", ""]
    lines += [*_summary(report), ""]
    for section, checks in report.checks.items():
        lines += [f"## {section}", ""]
        for check in checks:
            lines += [f"### {check.name}: {check.verdict}", "", _cell(check.summary), ""]
            if check.rows:
                lines += ["| " + " | ".join(map(_cell, check.columns)) + " |", "|" + " --- |" * len(check.columns)]
                lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in check.rows]
                lines.append("")
    if report.cases:
        lines += ["## Pairs of pictures that are hardest to tell apart", ""]
        lines += [
            f"- {c.title} ({_cell(c.captions[0])} / {_cell(c.captions[1])}): {c.difference:.2%}" for c in report.cases
        ]
        lines += ["", "Their pictures are in `report.html`.", ""]
    if report.command:
        lines += ["## How it was made", "", f"`{report.command}`", ""]
        lines += [", ".join(f"{name} {value}" for name, value in report.environment.items()), ""]
    return "\n".join(lines)


def render_html(report: Report) -> str:
    """Return the report as one page that opens without a server, with the worst pairs as pictures."""
    style = asset("mrbench.audit", "style.css")
    return (
        environment("mrbench.audit", picture=_picture, shown=_shown)
        .get_template("report.html.j2")
        .render(report=report, style=style, policy=policy(style, None, "img-src data:"))
    )


def one_line(check: Check) -> str:
    """Return a check in a line.

    >>> one_line(Check("balance", "reported", "even"))
    'reported  balance: even'
    """
    return f"{check.verdict:8}  {check.name}: {check.summary}"


def _summary(report: Report) -> list[str]:
    failed = report.failed
    passed = sum(check.verdict == "passed" for part in report.checks.values() for check in part)
    lines = [f"**{'Passed' if not failed else f'{len(failed)} checks failed'}**: {passed} checks passed."]
    return lines + [f"- failed: {check.name}: {_cell(check.summary)}" for check in failed]


def _cell(value: Row | str | int | float | None) -> str:
    return _shown(value).replace("|", "\\|").replace("<", "&lt;")


def _shown(value: object) -> str:
    return "–" if value is None else " ".join(str(value).split())


def _picture(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()
