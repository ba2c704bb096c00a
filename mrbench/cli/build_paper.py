"""``mrbench build paper``: the recipe of the ELVA paper's MRBench over a tree of M-BEIR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.common import WORKERS, ImageRootOption, Json, Overwrite, Seed, Workers
from mrbench.cli.judges import JudgeSpec, PriceIn, PriceOut, TrustJudge, Verdicts, judging
from mrbench.errors import InputError

_ACCEPTED = '{"id": "4:17", "text": "what the picture of this query shows"}'
DATASETS, SPLIT = "mscoco,nights,cirr", "test"


def paper(
    root: Annotated[str, typer.Option("--root", metavar="mbeir:ROOT", help="The tree of M-BEIR.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            metavar="A,B",
            help="Some of mscoco_task0, mscoco_task3, nights_task4, cirr_task7. [default: all four]",
            show_default=False,
        ),
    ] = None,
    queries: Annotated[int, typer.Option("--queries", min=1, help="Queries of each task.")] = 250,
    descriptions: Annotated[
        Path | None,
        typer.Option(
            "--descriptions",
            metavar="FILE.jsonl",
            help=f"Descriptions of pictures without captions, as in NIGHTS: lines {_ACCEPTED}. A model as --judge "
            "adds those that are missing. [default with a model: OUTPUT.descriptions.jsonl]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        str, typer.Option("--images", help="copy: into the Parquet files; reference: by path below the image root.")
    ] = "reference",
    judge: JudgeSpec = "rules",
    verdicts: Verdicts = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    trust_remote_code: TrustJudge = False,
    image_root: ImageRootOption = None,
    seed: Seed = 0,
    workers: Workers = WORKERS,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Build a benchmark by the recipe of the ELVA paper: four tasks of M-BEIR, queries with two grains or more.

    Example: mrbench build paper --root mbeir:M-BEIR --descriptions nights.jsonl --output paper
    """
    from mrbench.build.paper import TASKS, PaperConfig, build_paper
    from mrbench.cli.build import names, report
    from mrbench.judge import Describer
    from mrbench.sources.open import open_benchmark

    if not root.startswith("mbeir:"):
        raise InputError(
            "not a tree of M-BEIR", where="--root", got=root, accepted="mbeir:ROOT", hint=f"--root mbeir:{root}"
        )
    config = PaperConfig(tuple(TASKS) if tasks is None else names(tasks), queries, images)  # type: ignore[arg-type]
    file = descriptions or output.with_name(f"{output.name}.descriptions.jsonl")
    found = descriptions is not None or (judge != "rules" and file.exists())
    said = _descriptions(file) if found and (judge == "rules" or file.exists()) else {}
    options = "&" if "?" in root else "?"
    benchmark = open_benchmark(f"{root}{options}datasets={DATASETS}&splits={SPLIT}", image_root=image_root)
    answers = verdicts or output.with_name(f"{output.name}.verdicts.jsonl")
    with judging(judge, answers, prices=(price_in, price_out), trust_remote_code=trust_remote_code) as one:
        describe = Describer(one, file, said).describe if one.sees_photos else None

        def build(output: Path, config: Any, **chosen: Any) -> Any:
            return build_paper(benchmark, one, output, config, descriptions=said, describe=describe, **chosen)

        report(build, output, config, seed, workers, overwrite, as_json)


def _descriptions(path: Path) -> dict[str, str]:
    """Return the text of each query's picture.

    Raises:
        InputError: A line is malformed, or two lines describe one query.
    """
    from mrbench.cli.lines import read_lines, text_of

    found: dict[str, str] = {}
    for where, record in read_lines(path, _ACCEPTED):
        name = text_of(record, "id", where, _ACCEPTED)
        if name in found:
            raise InputError(
                "two descriptions of one query", where=where, got=name, hint=f"delete one of the two lines of {path}"
            )
        found[name] = text_of(record, "text", where, _ACCEPTED)
    return found
