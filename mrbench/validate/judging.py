"""Checks one split: every grade, every relevant candidate of the pool, every ladder, and every variant of a query."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mrbench.validate.content import short_hash
from mrbench.validate.records import Combination, SplitRule, check_grains, check_query, combination
from mrbench.validate.report import Report
from mrbench.validate.tables import CANDIDATE_MODALITY, QUERY_MODALITY, Table


@dataclass
class _Asked:
    """The facts of a query that later checks need."""

    task: str
    grains: Combination
    text: str | None
    image: str | None
    stated: frozenset[str]
    keepers: set[str] = field(default_factory=set)
    relevant: int = 0
    positive: str = ""
    one_offs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(kind for kind, _ in self.grains)

    def violated(self, candidate: Combination) -> list[str]:
        kept = set(candidate)
        return [pair[0] for pair in self.grains if pair not in kept]


class KeepIndex:
    """Looks up the queries whose grains a candidate keeps, without comparing it with every query.

    >>> index = KeepIndex()
    >>> index.add("q", (("count", "two"),))
    >>> list(index.kept_by((("count", "two"), ("entity", "dog")))), list(index.kept_by((("count", "one"),)))
    (['q'], [])
    """

    def __init__(self) -> None:
        self._queries: dict[frozenset[str], dict[Combination, list[str]]] = {}
        self._below: dict[frozenset[str], list[frozenset[str]]] = {}

    def add(self, query_id: str, grains: Combination) -> None:
        """Add a query."""
        types = frozenset(kind for kind, _ in grains)
        self._queries.setdefault(types, {}).setdefault(grains, []).append(query_id)
        self._below.clear()

    def kept_by(self, grains: Combination) -> Iterator[str]:
        """Yield the queries all of whose grains the candidate keeps."""
        types = frozenset(kind for kind, _ in grains)
        if types not in self._below:
            self._below[types] = [asked for asked in self._queries if asked <= types]
        for asked in self._below[types]:
            part = grains if len(asked) == len(types) else tuple(pair for pair in grains if pair[0] in asked)
            yield from self._queries[asked].get(part, ())


class SplitCheck:
    """Checks the tables of one split. Judged candidates are held in memory; the pool is read as a stream.

    Attributes:
        texts: 64-bit hashes of the texts of all text-only records, for comparison with other splits.
        pictures: 64-bit hashes of all pictures, for the same purpose.
    """

    def __init__(self, split: str, tables: list[Table], rule: SplitRule, report: Report) -> None:
        self._split, self._rule, self._report = split, rule, report
        self._tables = {(table.kind, table.stem): table for table in tables}
        self._queries: dict[str, _Asked] = {}
        self._index = {"image": KeepIndex(), "text": KeepIndex()}
        self._judged: dict[str, dict[str, Combination | None]] = {"image": {}, "text": {}}
        self.texts: array[int] = array("Q")
        self.pictures: array[int] = array("Q")

    def run(self) -> None:
        """Check everything."""
        for table in self._of("queries"):
            self._read_queries(table)
        for table in self._of("qrels"):
            judged = self._judged[CANDIDATE_MODALITY[table.stem]]
            judged.update((row["corpus-id"], None) for row in table.rows("corpus-id"))
        for table in self._of("top_ranked"):
            judged = self._judged[CANDIDATE_MODALITY[table.stem]]
            judged.update((member, None) for row in table.rows("corpus-ids") for member in row["corpus-ids"])
        for table in self._of("corpus"):
            self._read_corpus(table)
        for task in QUERY_MODALITY:
            self._check_task(task)
        for table in self._of("variants"):
            self._check_variants(table)

    def _of(self, kind: str) -> list[Table]:
        return [table for (k, _), table in sorted(self._tables.items()) if k == kind]

    def _query(self, table: Table, query_id: str) -> _Asked | None:
        asked = self._queries.get(query_id)
        if asked is None or asked.task != table.stem:
            self._report.problem("unknown query", table.name, query_id, f"a query of {table.stem}-{self._split}")
            return None
        return asked

    def _see(self, text: str | None, image: str | None) -> None:
        if image is not None:
            self.pictures.append(short_hash(image))
        elif text is not None:
            self.texts.append(short_hash(text))

    def _read_queries(self, table: Table) -> None:
        for row in table.rows(without="image"):
            where = f"{table.name} {row['id']}"
            form = (row["task"], row["modality"])
            self._report.expect(form == (table.stem, table.modality), "task and modality", where, form, table.stem)
            check_query(where, row, self._report)
            grains = combination(row["grains"])
            self._rule.add(where, self._split, grains)
            if row.get("image_grains"):
                self._rule.add(f"{where} picture", self._split, combination(row["image_grains"]))
            self._report.expect(row["id"] not in self._queries, "query id in two tasks", where)
            text, image = row.get("text"), row.get("image_sha256")
            stated = frozenset(grain["type"] for grain in row["grains"] if grain["start"] is not None)
            self._queries[row["id"]] = _Asked(table.stem, grains, text, image, stated)
            self._index[CANDIDATE_MODALITY[table.stem]].add(row["id"], grains)
            self._see(text, image)

    def _read_corpus(self, table: Table) -> None:
        asked_texts = {q.text: query_id for query_id, q in self._queries.items() if q.text is not None}
        asked_pictures = {q.image: query_id for query_id, q in self._queries.items() if q.image is not None}
        judged, index = self._judged[table.stem], self._index[table.stem]
        contents = array("Q")
        for row in table.rows(without="image"):
            where = f"{table.name} {row['id']}"
            text, image, grains = row.get("text"), row.get("image_sha256"), combination(row["grains"])
            self._report.expect(row["modality"] == table.stem, "task and modality", where, row["modality"], table.stem)
            check_grains(where, row["grains"], text, self._report)
            self._report.expect(text is None or bool(text.strip()), "empty text", where)
            self._rule.add(where, self._split, grains)
            twin = asked_texts.get(text or "") or asked_pictures.get(image or "")
            self._report.expect(twin is None, "query in the corpus", where, twin)
            contents.append(short_hash(text or image or ""))
            self._see(text, image)
            if row["id"] in judged:
                judged[row["id"]] = grains
            for query_id in index.kept_by(grains):
                asked = self._queries[query_id]
                asked.keepers.add(row["id"])
                if asked.image is not None and len(grains) > len(asked.grains):
                    self._report.problem("candidate that shows more", where, grains, f"{query_id}: {asked.grains}")
        self._check_twins(table, contents)

    def _check_twins(self, table: Table, contents: array[int]) -> None:
        """Find candidates of one corpus that cannot be told apart: equal text or equal pixels."""
        column = "text" if table.stem == "text" else "image_sha256"
        repeated = repeated_values(contents)
        if repeated:
            first: dict[str, str] = {}
            for row in table.rows("id", column):
                if short_hash(row[column]) in repeated and first.setdefault(row[column], row["id"]) != row["id"]:
                    self._report.problem("equal candidates", f"{table.name} {row['id']}", first[row[column]])

    def _check_task(self, task: str) -> None:
        judged = self._judged[CANDIDATE_MODALITY[task]]
        pairs: set[int] = set()
        if qrels := self._tables.get(("qrels", task)):
            self._check_qrels(qrels, judged, pairs)
        for query_id, asked in self._queries.items():
            if asked.task == task:
                for missing in sorted(asked.keepers):
                    self._report.problem("relevant candidate without judgement", f"qrels/{task} {query_id}", missing)
                self._report.expect(asked.relevant > 0, "query without relevant candidate", f"qrels/{task} {query_id}")
        ladders: set[str] = set()
        if table := self._tables.get(("top_ranked", task)):
            self._check_ladders(table, judged, pairs, ladders)
        for query_id, asked in self._queries.items():
            if asked.task == task:
                self._report.expect(query_id in ladders, "query without ladder", f"top_ranked/{task} {query_id}")

    def _check_qrels(self, table: Table, judged: dict[str, Combination | None], pairs: set[int]) -> None:
        for row in table.rows():
            where = f"{table.name} {row['query-id']} {row['corpus-id']}"
            asked, grains = self._query(table, row["query-id"]), judged.get(row["corpus-id"])
            if grains is None:
                self._report.problem("unknown candidate", where, accepted=f"a candidate of {self._split}")
            if asked is None or grains is None:
                continue
            violated = asked.violated(grains)
            grade, score = len(asked.grains) - len(violated), int(not violated)
            self._report.expect(row["grade"] == grade, "grade", where, row["grade"], grade)
            self._report.expect(row["violates"] == violated, "violates", where, row["violates"], violated)
            self._report.expect(row["score"] == score, "score", where, row["score"], score)
            asked.relevant += score
            asked.keepers.discard(row["corpus-id"])
            pairs.add(short_hash(row["query-id"], row["corpus-id"]))
            self._report.count("grades")

    def _check_ladders(
        self, table: Table, judged: dict[str, Combination | None], pairs: set[int], seen: set[str]
    ) -> None:
        for row in table.rows():
            query_id, members = row["query-id"], row["corpus-ids"]
            where = f"{table.name} {query_id}"
            asked = self._query(table, query_id)
            if asked is None:
                continue
            seen.add(query_id)
            self._report.expect(members == sorted(set(members)), "ladder sorted and distinct", where, members)
            for member in members:
                if judged.get(member) is None:
                    self._report.problem("unknown candidate", where, member)
                elif short_hash(query_id, member) not in pairs:
                    self._report.problem("ladder member without judgement", where, member)
            positive = judged.get(row["positive-id"])
            if row["positive-id"] not in members or positive is None:
                self._report.problem("positive outside its ladder", where, row["positive-id"])
                continue
            right = positive == asked.grains
            self._report.expect(right, "positive has the grains of the query", where, positive, asked.grains)
            if right:
                asked.positive = row["positive-id"]
                self._check_steps(where, asked, {m: grains for m in members if (grains := judged.get(m)) is not None})
            self._report.count("ladders")

    def _check_steps(self, where: str, asked: _Asked, members: dict[str, Combination]) -> None:
        """Check that for each grain a member differs in it alone, and count the wider steps that are absent."""
        steps: dict[int, set[str]] = defaultdict(set)
        for member, grains in members.items():
            if tuple(kind for kind, _ in grains) == asked.types:
                violated = asked.violated(grains)
                steps[len(violated)].update(violated)
                if len(violated) == 1:
                    asked.one_offs[violated[0]].add(member)
        for kind in asked.types:
            self._report.expect(kind in steps[1], "ladder without a one-off", where, f"none for {kind}")
        absent = sum(not steps[number] for number in range(2, len(asked.grains) + 1))
        if absent:
            self._report.note("wider ladder steps absent", absent)

    def _check_variants(self, table: Table) -> None:
        for row in table.rows(without="image"):
            kind, grain = row["kind"], row["grain"]
            where = f"{table.name} {row['query-id']} {kind} {grain or row['number']}"
            asked = self._query(table, row["query-id"])
            if asked is None:
                continue
            changed = (row.get("text") != asked.text, row.get("image_sha256") != asked.image)
            said = f"text changed: {changed[0]}, picture changed: {changed[1]}"
            if kind == "paraphrased":
                self._report.expect(grain == "", "paraphrase keeps all grains", where, grain)
                self._report.expect(any(changed), "variant differs from its query", where, said)
            elif kind in ("degrained", "flipped"):
                self._report.expect(grain in asked.types, "changed grain of the query", where, grain, asked.types)
                stated = grain in asked.stated
                self._report.expect(changed == (stated, not stated), "variant differs where its grain was", where, said)
            else:
                self._report.problem("kind of a variant", where, kind, "degrained, flipped, paraphrased")
            if asked.positive:  # a ladder that is missing or wrong was reported as such
                asks_for = asked.one_offs[grain] if kind == "flipped" else {asked.positive}
                right = row["positive-id"] in asks_for
                self._report.expect(right, "positive of a variant", where, row["positive-id"], sorted(asks_for))


def repeated_values(hashes: array[int]) -> set[int]:
    """Return the values that occur more than once."""
    values, counts = np.unique(np.frombuffer(hashes, dtype=np.uint64), return_counts=True)
    return set(values[counts > 1].tolist())
