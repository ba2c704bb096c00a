"""A model as a judge: each candidate is one question, each verdict is written down once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from mrbench.benchmark import decode, pixel_sha256
from mrbench.errors import ModelError
from mrbench.grains import Grain, describe_texts, grains_of, versions
from mrbench.judge.asking import TRIES, answer, each
from mrbench.judge.chat import Chat, NoReplyError
from mrbench.judge.pictured import Pictured
from mrbench.judge.prompt import VERSION, first_messages, once_more, read_answers
from mrbench.judge.verdict_file import Question, VerdictFile
from mrbench.judge.verdicts import UNKNOWN, Verdict

UNANSWERED = 0.02
"""Share of the questions that may stay without such an answer; with more the run stops."""


@dataclass
class Tally:
    """What a judge did so far.

    Attributes:
        asked: Questions that the model answered.
        kept: Verdicts of earlier runs that were taken from the file.
        unanswered: Questions without an answer of the form; their grains are unknown.
        tokens_in, tokens_out: Tokens that the model read and wrote, as far as it says.
    """

    asked: int = 0
    kept: int = 0
    unanswered: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, tokens_in: int, tokens_out: int) -> None:
        """Count the tokens of a reply."""
        with self.lock:
            self.tokens_in += tokens_in
            self.tokens_out += tokens_out

    def text(self, price_in: float | None, price_out: float | None) -> str:
        """Return the tally in a line, with the cost where the prices of a million tokens are known.

        >>> Tally(asked=2, kept=1, tokens_in=1_500_000, tokens_out=250_000).text(2.0, 8.0)
        'questions: 2 asked, 1 answered before; 1,500,000 tokens in, 250,000 out; cost 5.00'
        """
        parts = [f"questions: {self.asked + self.unanswered:,} asked, {self.kept:,} answered before"]
        if self.unanswered:
            parts.append(f"{self.unanswered:,} without a valid answer, all their grains unknown")
        parts.append(f"{self.tokens_in:,} tokens in, {self.tokens_out:,} out")
        if price_in is not None and price_out is not None:
            parts.append(f"cost {(self.tokens_in * price_in + self.tokens_out * price_out) / 1e6:.2f}")
        return "; ".join(parts)


class ModelJudge:
    """Asks a model for the verdict on every grain of a query.

    The grains are those that the parser finds, as for the judge ``rules``, so that verdicts of both can be compared. An
    answer that is not of the form is asked for again, three times in all. A question without a valid answer leaves all
    grains unknown, and is not written down; where more than one in fifty is without, the run stops.

    Args:
        chat: The model.
        file: Where verdicts are kept.

    Attributes:
        chat: The model.
        tally: What was asked, and what it took.
    """

    def __init__(self, chat: Chat, file: VerdictFile) -> None:
        self.chat, self._file = chat, file
        self.name, self.sees_photos = chat.name, chat.sees_photos
        self.versions = {**chat.versions, "prompt": VERSION, **versions()}
        self.tally = Tally()
        self._questions = 0
        self._before, self._taken = file.keys(), set[str]()
        self._grains: dict[str, tuple[Grain, ...]] = {}

    def judge(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Verdict]:
        """Judge queries against candidates; see :class:`mrbench.judge.verdicts.Judge`.

        A candidate without texts and photo leaves all grains unknown, and is not asked about.

        Raises:
            ModelError: The model cannot be reached, refuses, or too often answers in another form.
            OutputError: A verdict cannot be written. Those before it are kept.
        """
        self._parse([query for query, _ in pairs])
        asked = [self._question(query, candidate) for query, candidate in pairs]
        open_: dict[str, tuple[Question, Sequence[str]]] = {}
        for question, (_, candidate) in zip(asked, pairs, strict=True):
            if question is not None and self._file.get(question) is None:
                open_.setdefault(question.key, (question, candidate))
        self._taken |= {q.key for q in asked if q is not None} & self._before
        self.tally.kept = len(self._taken)
        self._questions += len(open_)
        each(self.chat, list(open_.values()), self._ask)
        return [
            Verdict(self._grains[query], (question and self._file.get(question)) or self._unknown(query))
            for question, (query, _) in zip(asked, pairs, strict=True)
        ]

    def _parse(self, queries: Sequence[str]) -> None:
        new = [query for query in dict.fromkeys(queries) if query not in self._grains]
        described = describe_texts(new)
        self._grains.update((query, tuple(grains_of(one))) for query, one in zip(new, described, strict=True))

    def _unknown(self, query: str) -> tuple[str, ...]:
        return (UNKNOWN,) * len(self._grains[query])

    def _question(self, query: str, candidate: Sequence[str]) -> Question | None:
        """Return what the model is asked; None where there is nothing to ask."""
        shown = candidate if isinstance(candidate, Pictured) and self.sees_photos else None
        grains = self._grains[query]
        if not grains or (not len(candidate) and shown is None):
            return None
        image = "" if shown is None else shown.image.sha256 or pixel_sha256(_picture(shown))
        name = candidate.id if isinstance(candidate, Pictured) else ""
        return Question(query, grains, name, tuple(candidate), image, self.name, VERSION)

    def _ask(self, asked: tuple[Question, Sequence[str]]) -> None:
        question, candidate = asked
        picture = _picture(candidate) if isinstance(candidate, Pictured) and self.sees_photos else None
        first, number = first_messages(question.query, question.grains, question.texts, picture), len(question.grains)
        try:
            answers, fault = answer(
                self.chat,
                first,
                lambda said: read_answers(said, number),
                lambda said, fault: once_more(first, said, fault, number),
                self.tally,
            )
        except NoReplyError as error:
            answers, fault = None, str(error)
        if answers is None:
            self._count_unanswered(question, fault)
            return
        self._file.add(question, answers)
        with self.tally.lock:
            self.tally.asked += 1

    def _count_unanswered(self, question: Question, fault: str) -> None:
        with self.tally.lock:
            self.tally.unanswered += 1
            too_many = self.tally.unanswered > UNANSWERED * self._questions
        if too_many:
            raise ModelError(
                f"the judge does not answer as it was asked, {TRIES} times: {fault}",
                where=f"{self.name}, query {question.query[:60]!r}",
                accepted='{"1": "kept", "2": "violated", "3": "unknown"}',
                hint=f"take a model that follows instructions{self._kept()}",
            )

    def _kept(self) -> str:
        """Return where the verdicts so far are; empty where there are none."""
        return f"; verdicts so far are kept in {self._file.path}" if self._file.keys() else ""


def _picture(candidate: Pictured) -> Image.Image:
    return decode(candidate.image, where=candidate.id)
