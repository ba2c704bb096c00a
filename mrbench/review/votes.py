"""The file of one person's votes, as the sheet gives it out."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import InputError
from mrbench.files import read_versioned_json
from mrbench.review.claims import Key

FORMAT, FORMAT_VERSION = "mrbench-votes", 1
VOTES = YES, NO, UNSURE = "yes", "no", "unsure"
_HINT = 'download the votes again from the page: "Download votes"'
_ACCEPTED = '{"task", "split", "query_id", "candidate_id", "vote": yes, no or unsure}'


@dataclass(frozen=True, slots=True)
class Ballot:
    """The votes of one person: who, and a vote for each judgement that they voted on."""

    reviewer: str
    votes: dict[Key, str]


def read_votes(paths: Sequence[Path], digest: str, known: Collection[Key]) -> list[Ballot]:
    """Read the votes of several people, ordered by their names.

    Args:
        paths: A file for each person.
        digest: Of the benchmark that is reviewed.
        known: Its judgements that come from a judge.

    Raises:
        InputError: A file is malformed, for another build, names an unknown judgement or one twice, or two files are of
            one person.
    """
    ballots: dict[str, Ballot] = {}
    files: dict[str, Path] = {}
    for path in paths:
        raw = read_versioned_json(path, what="file of votes", name=FORMAT, newest=FORMAT_VERSION, error=InputError)
        if raw.get("digest") != digest:
            hint = "mrbench review DIR with the benchmark that was reviewed"
            said = str(raw.get("digest"))[:16]
            raise InputError("votes for another build", where=path, got=said, accepted=digest[:16], hint=hint)
        reviewer = raw.get("reviewer")
        if not isinstance(reviewer, str) or not reviewer.strip():
            raise InputError("votes of nobody", where=path, got=reviewer, accepted='"reviewer": a name', hint=_HINT)
        name = name_of(reviewer)
        if name in ballots:
            raise InputError(
                "two files are of one reviewer",
                where=f"{files[name]} and {path}",
                got=reviewer,
                accepted="one file a person; capitals and spaces around make no other name",
            )
        files[name] = path
        ballots[name] = Ballot(name, _votes(raw.get("votes"), path, known))
    return [ballots[name] for name in sorted(ballots)]


def name_of(reviewer: str) -> str:
    """Return a name by which a person is told from others: without capitals and spaces around, in Unicode's NFC.

    >>> name_of(" Ann  Lee ") == name_of("ann lee"), name_of("Zo\u0308e") == name_of("z\u00f6e")
    (True, True)
    """
    return unicodedata.normalize("NFC", " ".join(reviewer.split()).casefold())


def _votes(raw: Any, path: Path, known: Collection[Key]) -> dict[Key, str]:
    if not isinstance(raw, list) or not raw:
        raise InputError("no votes", where=path, accepted=f'"votes": a list of {_ACCEPTED}', hint=_HINT)
    found: dict[Key, str] = {}
    for number, one in enumerate(raw, start=1):
        where = f"{path}, vote {number}"
        try:
            key = (one["task"], one["split"], one["query_id"], one["candidate_id"])
            vote = one["vote"]
        except (KeyError, TypeError) as error:
            raise InputError("malformed vote", where=where, got=one, accepted=_ACCEPTED) from error
        if vote not in VOTES or not all(isinstance(part, str) for part in key):
            raise InputError("malformed vote", where=where, got=one, accepted=_ACCEPTED)
        if key not in known:
            raise InputError("a vote on what no judge judged", where=where, got=" ".join(key), hint=_HINT)
        if key in found:
            raise InputError("two votes on one judgement", where=where, got=" ".join(key), hint="delete one of them")
        found[key] = vote
    return found
