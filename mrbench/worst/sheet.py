"""The sheet of the worst queries: a line for each, the query, its right answer, and what is ranked above."""

from __future__ import annotations

from collections.abc import Sequence

from mrbench.records import Judgement
from mrbench.show.picture import CELL, GAP, GREEN, GREY, LINE, MARGIN, RED, Sheet, draw_candidate, tints_of
from mrbench.worst.find import SHOWN, Above, WorstQuery
from mrbench.worst.words import loses

WORDS, CAPTION = 330, 130  # pixels: width of the query's words, height below a cell
MOST = 30
"""Lines of a sheet: more would be a picture that few programs open."""


def draw_sheet(found: Sequence[WorstQuery], title: str) -> bytes:
    """Return the sheet as PNG bytes.

    Args:
        found: The queries, :data:`MOST` at most; the others are left out.
        title: The line above them.
    """
    shown = found[:MOST]
    width = 2 * MARGIN + WORDS + GAP + (SHOWN + 1) * (CELL + GAP)
    tints = tints_of(dict.fromkeys(grain.type for one in shown for grain in one.query.grains))
    sheet = Sheet(width, tints, 2 * MARGIN + 80 + len(shown) * (2 * CELL + 4 * CAPTION))
    y = sheet.text((MARGIN, MARGIN), title, width - 2 * MARGIN, size=24, face="-Bold") + 20
    for one in shown:
        sheet.pen.line((MARGIN, y, width - MARGIN, y), fill=LINE, width=2)
        y = max(_query(sheet, one, y + GAP), _answers(sheet, one, y + GAP)) + GAP
    return sheet.png(y + MARGIN)


def _query(sheet: Sheet, one: WorstQuery, y: int) -> int:
    query, x = one.query, MARGIN
    rank = f"{one.rank:,.1f}".removesuffix(".0")
    margin = "" if one.margin is None else f", margin {one.margin:+.2f}"
    y = sheet.text((x, y), f"{query.task}, rank {rank}{margin}", WORDS, size=18, face="-Bold") + 4
    if query.image is not None:
        y = sheet.picture((x + 3, y + 4), query.image, CELL - 60, LINE, 2, query.id) + 14
    if query.text is not None:
        y = sheet.text((x, y), query.text, WORDS, size=19, marked=query.grains) + 6
    return sheet.text((x, y), query.id, WORDS, size=14, colour=GREY)


def _answers(sheet: Sheet, one: WorstQuery, top: int) -> int:
    x, total = MARGIN + WORDS + GAP, len(one.query.grains)
    right = Judgement(one.query.id, one.positive.id, 1, total or None, () if total else None, total or None)
    bottom = draw_candidate(sheet, (x, top), one.positive, right, True, total)
    bottom = sheet.text((x, bottom), f"score {one.score:.4f}", CELL, size=15, colour=GREY)
    for number, above in enumerate(one.above, start=1):
        bottom = max(bottom, _above(sheet, one, above, (x + number * (CELL + GAP), top)))
    return bottom


def _above(sheet: Sheet, one: WorstQuery, above: Above, corner: tuple[int, int]) -> int:
    total, judgement = len(one.query.grains), above.judgement
    shown = judgement or Judgement(one.query.id, above.candidate.id, 0)
    bottom = draw_candidate(sheet, corner, above.candidate, shown, False, total, label=_label(above))
    ranked = "" if above.rank is None else f"rank {above.rank}, "
    colour = RED if above.score > one.score else GREEN if above.score < one.score else GREY
    return sheet.text((corner[0], bottom), f"{ranked}score {above.score:.4f}", CELL, size=15, colour=colour)


def _label(above: Above) -> str | None:
    return None if above.judgement is not None and above.judgement.grade is not None else loses(above)
