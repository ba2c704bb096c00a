"""Several questions to a model at a time, each until its answer is of the form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol, TypeVar

from tqdm import tqdm

from mrbench.judge.chat import Chat, Message
from mrbench.judge.prompt import MalformedError

TRIES = 3
"""Times that a question is asked until an answer is of the form."""
_MANY = 50
Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Counts(Protocol):
    """Takes the tokens of every reply."""

    def read(self, tokens_in: int, tokens_out: int) -> None:
        """Count the tokens of a reply."""


def each(chat: Chat, jobs: Sequence[Job], ask: Callable[[Job], None], *, doing: str = "asking") -> None:
    """Call ``ask`` for every job, as many at a time as the model answers; the first error stops them all."""
    if not jobs:
        return
    chat.stop(False)
    bar = tqdm(total=len(jobs), desc=doing, unit="question", leave=False, disable=None if len(jobs) > _MANY else True)
    with bar, ThreadPoolExecutor(chat.concurrency) as threads:
        waiting = [threads.submit(ask, job) for job in jobs]
        try:
            for one in as_completed(waiting):
                one.result()
                bar.update()
        except BaseException:  # Ctrl-C too
            chat.stop()
            threads.shutdown(cancel_futures=True)
            raise


def answer(
    chat: Chat,
    first: list[Message],
    read: Callable[[str], Answer],
    again: Callable[[str, str], list[Message]],
    counts: Counts,
) -> tuple[Answer | None, str]:
    """Return what a model answers, and what was wrong with its last answer where it is None.

    Args:
        chat: The model.
        first: The question.
        read: Reads an answer; raises MalformedError for one of another form.
        again: Returns the question again, from an answer and its fault.
        counts: Takes the tokens.

    Raises:
        NoReplyError: The model refuses the conversation.
        ModelError: The model cannot be reached, or fails.
    """
    messages, fault = first, ""
    for _ in range(TRIES):
        reply = chat.reply(messages)
        counts.read(reply.tokens_in, reply.tokens_out)
        try:
            return read(reply.text), ""
        except MalformedError as error:
            fault = f"{error}: {' '.join(reply.text.split())[:60]!r}"
            messages = again(reply.text, str(error))
    return None, fault
