"""The choice of a judge: its options, and the judge itself while a command needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.streams import note
from mrbench.errors import InputError

JudgeSpec = Annotated[
    str,
    typer.Option(
        "--judge",
        metavar="SPEC",
        help="rules; openai:URL#MODEL, a server with OpenAI's API; or transformers:PATH, a vision-language model.",
    ),
]
Verdicts = Annotated[
    Path | None,
    typer.Option(
        "--verdicts",
        metavar="FILE",
        help="JSON Lines with the verdicts of a model: those in it are not asked for again. "
        "[default: OUTPUT.verdicts.jsonl, or verdicts.jsonl where there is no output folder]",
        show_default=False,
    ),
]
PriceIn = Annotated[
    float | None,
    typer.Option("--price-in", min=0, help="Price of a million tokens that a model reads.", show_default=False),
]
PriceOut = Annotated[
    float | None,
    typer.Option("--price-out", min=0, help="Price of a million tokens that a model writes.", show_default=False),
]
TrustJudge = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the weights of transformers:PATH.")
]
_ACCEPTED = "rules, openai:URL#MODEL, transformers:PATH"


@contextmanager
def judging(
    spec: str,
    verdicts: Path,
    *,
    prices: tuple[float | None, float | None] = (None, None),
    trust_remote_code: bool = False,
    soft: bool = False,
    keep: bool = False,
) -> Iterator[Any]:
    """Yield a judge. Afterwards, say on stderr what a model was asked and what it took.

    Args:
        spec: ``rules``, ``openai:URL#MODEL`` or ``transformers:PATH``.
        verdicts: The file of a model's verdicts.
        prices: Of a million tokens that a model reads, and writes.
        trust_remote_code: Whether code that comes with the weights may run.
        soft: Of rules: also give the support.
        keep: Of rules: keep every parse.

    Raises:
        InputError: An unknown judge, a malformed spec, or one price without the other.
        MissingExtraError: A library that the judge needs is not installed.
    """
    kind, _, rest = spec.partition(":")
    if spec != "rules" and (kind not in ("openai", "transformers") or not rest):
        raise InputError("unknown judge", where="--judge", got=spec, accepted=_ACCEPTED)
    if (prices[0] is None) != (prices[1] is None):
        raise InputError("one price without the other", accepted="--price-in and --price-out, or neither")
    if spec == "rules":
        if prices[0] is not None:
            raise InputError("the rules cost nothing", where="--price-in, --price-out", accepted="a model as --judge")
        yield rules(soft=soft, keep=keep)
        return
    from mrbench.grains import versions

    versions()  # a missing parser is found before a model is loaded
    from mrbench.judge import ModelJudge, VerdictFile

    file = VerdictFile(verdicts)
    judge = None
    try:
        judge = ModelJudge(_chat(kind, rest, trust_remote_code), file)
        yield judge
    finally:
        file.close()
        if judge is not None and (judge.tally.asked or judge.tally.kept):
            note(f"judge {judge.name}: {judge.tally.text(*prices)}; verdicts: {verdicts}")


def _chat(kind: str, rest: str, trust_remote_code: bool) -> Any:
    if kind == "openai":
        try:
            from mrbench.models.served_chat import ServedChat
        except ModuleNotFoundError as error:
            if error.name != "requests":
                raise
            from mrbench.errors import MissingExtraError

            raise MissingExtraError(
                "judges behind a server need requests", hint='pip install "mrbench[api]"'
            ) from error
        return ServedChat(rest)
    from mrbench.models.local_chat import LocalChat

    return LocalChat(rest, trust_remote_code=trust_remote_code)


def rules(*, soft: bool = False, keep: bool = False) -> Any:
    """Return the judge ``rules`` with MiniLM for words of near meaning.

    Raises:
        MissingExtraError: spaCy, its model, or MiniLM is not installed.
    """
    from mrbench.grains import versions

    versions()
    from mrbench.judge import Rules
    from mrbench.models.minilm import MiniLM

    return Rules(MiniLM(), soft=soft, keep=keep)
