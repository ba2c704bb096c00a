"""``mrbench judge``: measure the judges of captions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.common import Json, note, print_json
from mrbench.cli.judges import JudgeSpec, PriceIn, PriceOut, TrustJudge, Verdicts, judging, rules
from mrbench.errors import InputError

app = typer.Typer(help="Measure the judges of captions.", no_args_is_help=True, rich_markup_mode=None)
_FOLDERS = {"sugarcrepe": "sugarcrepe", "sugarcrepe_pp": "sugarcrepe-pp", "flickr8k": "flickr8k-graded"}
_OWN = "A benchmark folder whose texts are judged; may be given several times."


@app.callback()
def judge() -> None:
    """Measure the judges of captions."""


@app.command("check")
def check(
    suite: Annotated[list[Path] | None, typer.Option("--suite", metavar="DIR", help=_OWN)] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder with sugarcrepe, sugarcrepe-pp, flickr8k-graded, or some."),
    ] = None,
    sugarcrepe: Annotated[
        Path | None, typer.Option("--sugarcrepe", metavar="DIR", help="add_obj.json and add_att.json of SugarCrepe.")
    ] = None,
    sugarcrepe_pp: Annotated[
        Path | None, typer.Option("--sugarcrepe-pp", metavar="DIR", help="The five files of SugarCrepe++.")
    ] = None,
    flickr8k: Annotated[
        Path | None,
        typer.Option("--flickr8k", metavar="DIR", help="ExpertAnnotations.txt and captions-all.jsonl.gz of Flickr8k."),
    ] = None,
    judge: JudgeSpec = "rules",
    verdicts: Verdicts = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    trust_remote_code: TrustJudge = False,
    as_json: Json = False,
) -> None:
    """Measure a judge where the truth is known. The rules are tuned on one half of the photos; both are printed.

    Suites: a text that differs in one grain must violate something, a paraphrase nothing. SugarCrepe: the negative
    must violate a grain of the labelled kind, an added grain must not be kept, a second caption must violate nothing.
    Flickr8k: Kendall's tau-c between the grade and the experts' ratings.

    Example: mrbench judge check --suite scenes --data real
    """
    folders = {"sugarcrepe": sugarcrepe, "sugarcrepe_pp": sugarcrepe_pp, "flickr8k": flickr8k}
    if data is not None:
        folders = {name: given or _inside(data, _FOLDERS[name]) for name, given in folders.items()}
    if not suite and not any(folders.values()):
        accepted = "--suite DIR, --data DIR, --sugarcrepe DIR, --sugarcrepe-pp DIR or --flickr8k DIR"
        raise InputError("nothing to measure", where=data or "mrbench judge check", accepted=accepted)
    chosen = judging(
        judge,
        verdicts or Path("verdicts.jsonl"),
        prices=(price_in, price_out),
        trust_remote_code=trust_remote_code,
        soft=folders["flickr8k"] is not None,
    )
    with chosen as one:
        report = _measure(one, suite or [], folders)
    if as_json:
        print_json(report)
    else:
        typer.echo(_text(report))


def _inside(data: Path, name: str) -> Path | None:
    return data / name if (data / name).is_dir() else None


def _measure(judge: Any, suites: list[Path], folders: dict[str, Path | None]) -> dict[str, Any]:
    from mrbench.benchmark import Benchmark
    from mrbench.judge.check import mean_row, rows
    from mrbench.judge.flickr8k import check_flickr8k
    from mrbench.judge.sugarcrepe import ADDITIONS, check_sugarcrepe
    from mrbench.judge.suites import check_suite

    benchmarks = [Benchmark(folder) for folder in suites]
    report: dict[str, Any] = {"judge": judge.name, "versions": judge.versions, "suites": {}}
    for benchmark in benchmarks:
        note(f"judging the texts of {benchmark.folder} ...")
        report["suites"][benchmark.name] = [row.to_json() for row in rows(check_suite(judge, benchmark))]
    if folders["sugarcrepe"] or folders["sugarcrepe_pp"]:
        note("judging SugarCrepe ...")
        hard = rules() if judge.name == "rules" else judge  # without support, which takes longer and is not read here
        found = rows(check_sugarcrepe(hard, folders["sugarcrepe"], folders["sugarcrepe_pp"]))
        changed = [row for row in found if row.kind not in ADDITIONS]
        means = [mean for half in ("tune", "report") if (mean := mean_row(changed, half)) is not None]
        report["sugarcrepe"] = [row.to_json() for row in [*found, *means]]
    if folders["flickr8k"]:
        note("judging Flickr8k-Expert ...")
        report["flickr8k"] = [row.to_json() for row in check_flickr8k(judge, folders["flickr8k"])]
    return report


def _text(report: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version[:12]}" for name, version in report["versions"].items())
    lines = [f"judge {report['judge']} ({versions})"]
    tables = {f"suite {name}": found for name, found in report["suites"].items()}
    if "sugarcrepe" in report:
        tables["SugarCrepe, SugarCrepe++"] = report["sugarcrepe"]
    for title, found in tables.items():
        lines += ["", f"{title:<25} half    items  recall  any kind  false alarms  balanced"]
        for row in found:
            shares = [row[name] for name in ("recall", "recall_any", "false_alarms", "balanced_accuracy")]
            a, b, c, d = ("—" if share is None else f"{share:.3f}" for share in shares)
            items = max(row["negatives"], row["positives"])
            lines.append(f"  {row['kind']:<23} {row['half']:<6} {items:>6} {a:>7} {b:>9} {c:>13} {d:>9}")
    if "flickr8k" in report:
        lines += ["", f"{'Flickr8k-Expert':<25} half    pairs  tau-c of kept over asked  of support over asked"]
        for row in report["flickr8k"]:
            soft = "—" if row["tau_c_support"] is None else f"{row['tau_c_support']:.3f}"
            lines.append(f"  {'':<23} {row['half']:<6} {row['pairs']:>6} {row['tau_c']:>25.3f} {soft:>22}")
    return "\n".join(lines)
