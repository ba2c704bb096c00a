"""SugarCrepe and SugarCrepe++: negatives that change one thing, and second true captions.

Sources: Hsieh et al., SugarCrepe (arXiv 2306.14610); Dumpala et al., SugarCrepe++ (arXiv 2406.11171).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mrbench.errors import InputError
from mrbench.grains import KINDS
from mrbench.judge.check import Item
from mrbench.judge.halves import half_of
from mrbench.judge.verdicts import KEPT, VIOLATED, Judge, Verdict

LABELLED = {
    "replace_obj": ("object",),
    "replace_att": ("attribute",),
    "replace_rel": ("relation",),
    "swap_att": ("attribute",),
    "swap_obj": ("object", "relation"),
}
"""The parts that a kind's negative has to violate. Swapped objects are all still there: what they do is not."""
ADDITIONS = ("add_obj", "add_att")


class _Triple(NamedTuple):
    photo: str
    caption: str
    paraphrase: str
    negative: str


def check_sugarcrepe(judge: Judge, additions: Path | None, paraphrases: Path | None) -> list[Item]:
    """Measure a judge on the kinds that replace and swap, with paraphrases, and on those that add.

    For replace and swap the query is the caption: the negative has to violate a grain of the labelled kind, and the
    paraphrase must violate none. For add the query is the negative: a grain of it must not be kept by the caption. The
    other way round, the negative, which says more, must violate no grain of the caption.

    Args:
        judge: Any judge.
        additions: SugarCrepe's folder with ``add_obj.json`` and ``add_att.json``; None leaves these kinds out.
        paraphrases: SugarCrepe++'s folder with the five other kinds; None leaves them out.

    Raises:
        InputError: A file is missing or not of that form.
    """
    items: list[Item] = []
    for kind, parts in LABELLED.items() if paraphrases is not None else ():
        triples = list(_read(paraphrases / f"{kind}.json", second=True))  # type: ignore[operator]
        negative = judge.judge([(one.caption, [one.negative]) for one in triples])
        positive = judge.judge([(one.caption, [one.paraphrase]) for one in triples])
        for one, no, yes in zip(triples, negative, positive, strict=True):
            violated = _parts(no, VIOLATED)
            alarm = VIOLATED in yes.answers
            items.append(Item(kind, half_of(one.photo), bool(violated & set(parts)), bool(violated), alarm))
    for kind in ADDITIONS if additions is not None else ():
        triples = list(_read(additions / f"{kind}.json", second=False))  # type: ignore[operator]
        added = judge.judge([(one.negative, [one.caption]) for one in triples])
        said = judge.judge([(one.caption, [one.negative]) for one in triples])
        for one, no, yes in zip(triples, added, said, strict=True):
            lost = any(answer != KEPT for answer in no.answers)
            items.append(Item(kind, half_of(one.photo), lost, lost, VIOLATED in yes.answers))
    return items


def _parts(verdict: Verdict, answer: str) -> set[str]:
    pairs = zip(verdict.grains, verdict.answers, strict=True)
    return {KINDS[grain.kind] for grain, found in pairs if found == answer}


def _read(path: Path, *, second: bool) -> Iterator[_Triple]:
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        records: Sequence[Any] = list(raw.values()) if isinstance(raw, dict) else raw
        for record in records:
            paraphrase = record["caption2"] if second else ""
            yield _Triple(record["filename"], record["caption"], paraphrase, record["negative_caption"])
    except OSError as error:
        hint = f"name the folder that has {path.name}: {'--sugarcrepe-pp' if second else '--sugarcrepe'} DIR"
        raise InputError("cannot read a file of SugarCrepe", where=path, got=error.strerror, hint=hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        accepted = 'records with "filename", "caption", "negative_caption"' + (' and "caption2"' if second else "")
        raise InputError("not a file of SugarCrepe", where=path, got=str(error), accepted=accepted) from error
