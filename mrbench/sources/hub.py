"""Corpus, queries and judgements in the layout that MTEB, BEIR and NanoBEIR share, from a folder or the hub's cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.benchmark import Contents
from mrbench.benchmark.chunks import Chunk
from mrbench.benchmark.schema import candidate_row, query_row, table_of
from mrbench.errors import BenchmarkError, InputError
from mrbench.files import canonical_json
from mrbench.records import Candidate, CandidateList, Judgement, Modality, Query, Task
from mrbench.sources import hub_tables as tables
from mrbench.sources.files import images_below, plain_name
from mrbench.sources.hub_layout import Layout, content_digest, find_folder, pick_split, read_layout
from mrbench.sources.hub_qrels import Qrels, read_lists, read_qrels
from mrbench.sources.rows import kind_of
from mrbench.sources.splits import assign_splits, in_order
from mrbench.spec_options import check_options, choice

OPTIONS = {
    "subset": "the part to read, NAME in the configurations NAME-corpus, NAME-queries, NAME-qrels",
    "split": "the one split to read, as the data set names it",
    "qrels": "OWNER/NAME or folder that has the judgements, where they are a data set of their own",
    "unknown": "drop: leave out judgements of unknown queries and candidates instead of refusing them",
    "top_ranked": "ignore: search the whole corpus where the data set has lists to rerank",
    "instruction": "the instruction of all queries that have none of their own",
}
_CORPUS_MEASURES = (
    "ndcg@10",
    "hit_rate@1",
    "hit_rate@5",
    "hit_rate@10",
    "recall@10",
    "recall@100",
    "map@100",
    "mrr@10",
)
_LIST_MEASURES = ("map@1000", "ndcg@10", "mrr@10", "hit_rate@1")
_CODES: dict[Modality, str] = {"text": "t", "image": "i", "image,text": "it"}


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open a data set of the hub's layout.

    Args:
        location: A folder, or ``OWNER/NAME[@REVISION]``, which is looked for in the hub's local cache; nothing is
            downloaded.
        image_root: Folder below which images lie that are named by path; None takes the data set's.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option, subset or split.
        BenchmarkError: The data set is missing, of another layout or malformed.
    """
    check_options(options, OPTIONS)
    folder, revision = find_folder(location)
    layout = read_layout(folder, revision)
    if "qrels" in options:
        layout.files |= {"qrels": _own_qrels(options["qrels"])}
    return Hub(location, layout, image_root, options)


def _own_qrels(location: str) -> dict[str, list[Path]]:
    folder, revision = find_folder(location)
    files = sorted(folder.glob("*.tsv"))
    if files:
        return {path.stem: [path] for path in files}
    return read_layout(folder, revision).table("qrels", "")[1]


class Hub(Contents):
    """A data set of the hub's layout.

    The corpus is one of ours where all of it is of one modality, else one for each modality, ``corpus.text`` and so on.
    There is a task for each modality of queries, named after MTEB's category.

    Args:
        location: The folder or id, as the user gave it.
        layout: Its files.
        image_root: The folder that the user named for images.
        options: See :data:`OPTIONS`.
    """

    def __init__(self, location: str, layout: Layout, image_root: Path | None, options: Mapping[str, str]) -> None:
        self._layout, self._options, self._subset = layout, dict(options), options.get("subset", "")
        self.location, self.licence = layout.folder, layout.licence
        if self._subset and self._subset not in layout.subsets():
            known = ", ".join(layout.subsets()) or "none"
            raise InputError("unknown subset", where=self.location, got=self._subset, accepted=known)
        self._files = {name: self._need(name) for name in ("corpus", "queries", "qrels")}
        ranked = choice(options, "top_ranked", ("use", "ignore")) == "use"
        self._files["top_ranked"] = layout.table("top_ranked", self._subset)[1] if ranked else {}
        self._files["instruction"] = layout.table("instruction", self._subset)[1]
        self.title = layout.folder.name if Path(location).is_dir() else location.partition("@")[0]
        self.title += f" ({self._subset})" if self._subset else ""
        self.name = plain_name(self.title.rpartition("/")[2])
        self.images = images_below(layout.folder, image_root)
        self._splits = self._assigned()
        self.splits = in_order(self._splits)
        self.corpora = self._corpora()
        self.tasks = self._tasks()

    def _need(self, name: str) -> dict[str, list[Path]]:
        files = self._layout.table(name, self._subset)[1]
        if not files:
            subsets = ", ".join(self._layout.subsets())
            hint = f"?subset=NAME, one of {subsets}" if subsets else None
            got = ", ".join(sorted(self._layout.files))
            accepted = "corpus, queries, and qrels or default"
            what = f"the data set has no {name}"
            raise BenchmarkError(what, where=self.location, got=got, accepted=accepted, hint=hint)
        return files

    def _assigned(self) -> dict[str, str]:
        """Return the data set's name of each split of ours."""
        if self._options.get("split") == "all":
            raise InputError("splits of a hub data set are not merged", got="?split=all", accepted="?split=NAME")
        names = assign_splits(self._files["qrels"], self._options, where=self.location)
        found: dict[str, str] = {}
        for name, split in names.items():
            if split in found:
                got = f"{found[split]}, {name}"
                raise InputError(f"two splits are {split}", where=self.location, got=got, hint="?split=NAME")
            found[split] = name
        return found

    def _paths(self, table: str, split: str) -> list[Path]:
        return pick_split(table, self._files[table], self._splits[split], self.location)

    @cached_property
    def _scanned(self) -> dict[tuple[str, str], list[tables.Part]]:
        return {}

    def _parts(self, table: str, split: str) -> list[tables.Part]:
        key = (table, "\n".join(map(str, self._paths(table, split))))
        if key not in self._scanned:
            self._scanned[key] = tables.scan(self._paths(table, split))
        return self._scanned[key]

    def _held(self, table: str) -> list[Modality]:
        """Return the modalities of a table's rows over all splits."""
        found: set[int] = set()
        for split in self.splits:
            for part in self._parts(table, split):
                found |= set(np.unique(part.codes).tolist())
        return [modality for code, modality in enumerate(tables.MODALITIES) if code in found]

    def _corpora(self) -> dict[str, Modality]:
        held = self._held("corpus")
        if not held:
            raise BenchmarkError("the corpus is empty", where=self.location, accepted="one row or more")
        if len(held) == 1:
            return {"corpus": held[0]}
        return {f"corpus.{modality.replace(',', '_')}": modality for modality in held}

    def _tasks(self) -> list[Task]:
        candidates: Modality = next(iter(self.corpora.values())) if len(self.corpora) == 1 else "image,text"
        lists = bool(self._files["top_ranked"])
        protocol = "All judged queries of the split; nDCG has linear gain; "
        if lists:
            protocol += "each query is searched among its own list (top_ranked), and MTEB ranks models by map@1000."
        else:
            protocol += "the whole corpus is searched, and MTEB and BEIR rank models by ndcg@10."
        return [
            Task(
                name=f"{_CODES[queries]}2{_CODES[candidates]}",
                title=f"{self.title}, {queries} → {candidates}",
                query_modality=queries,
                candidate_modality=candidates,
                corpora=tuple(self.corpora),
                judgements="partial",
                pool="lists" if lists else "corpus",
                measures=_LIST_MEASURES if lists else _CORPUS_MEASURES,
                main="map@1000" if lists else "ndcg@10",
                protocol=protocol,
            )
            for queries in self._held("queries")
        ]

    def digest(self) -> str:
        """Return the SHA-256 over all files of the data set and the options."""
        used = {path for files in self._files.values() for paths in files.values() for path in paths}
        root = self.location
        names = {str(p.relative_to(root) if p.is_relative_to(root) else p.name): content_digest(p) for p in used}
        options = {name: value for name, value in self._options.items() if name != "qrels"}  # a place, not content
        said = canonical_json({"files": names, "options": options})
        return hashlib.sha256(said.encode()).hexdigest()

    def notes(self) -> list[str]:
        """Return what was left out."""
        notes = [f"revision {self._layout.revision}"] if self._layout.revision else []
        for split in self.splits:
            qrels = self._qrels(split)
            notes += [f"{split}: {note}" for note in qrels.notes]
            total = sum(len(part.codes) for part in self._parts("queries", split))
            if total > len(qrels.queries):
                notes.append(f"{split}: queries without a judgement left out: {total - len(qrels.queries)}")
        return notes

    # Ids and judgements

    @cached_property
    def _found_ids(self) -> dict[tuple[str, str], pa.Array]:
        return {}

    def _ids(self, table: str, split: str) -> pa.Array:
        """Return the ids of all rows of a table, in file order.

        Raises:
            BenchmarkError: An id is there twice.
        """
        key = (table, "\n".join(map(str, self._paths(table, split))))
        if key not in self._found_ids:
            chunks = [pa.array(self._ids_of(path), pa.string()) for path in self._paths(table, split)]
            ids = pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())
            counts = pc.value_counts(ids)
            twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
            if len(twice):
                where, got = f"{self.location}, {table}", ", ".join(twice[:3].to_pylist())
                raise BenchmarkError(
                    f"ids that are there twice ({len(twice)})", where=where, got=got, accepted="each once"
                )
            self._found_ids[key] = ids
        return self._found_ids[key]

    def _ids_of(self, path: Path) -> Iterator[str]:
        columns = None
        if kind_of(path) == ".parquet":
            columns = [name for name in tables.IDS if name in tables.columns_of(path)][:1] or None
        for where, row in tables.rows_of_file(path, columns):
            yield tables.row_id(row, where)

    @cached_property
    def _read_qrels(self) -> dict[str, Qrels]:
        return {}

    def _qrels(self, split: str) -> Qrels:
        if split not in self._read_qrels:
            drop = choice(self._options, "unknown", ("refuse", "drop")) == "drop"
            known = self._ids("queries", split), self._ids("corpus", split)
            self._read_qrels[split] = read_qrels(self._paths("qrels", split), *known, drop_unknown=drop)
        return self._read_qrels[split]

    # Tables

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the candidates of one modality."""
        code = tables.MODALITIES.index(self.corpora[corpus])
        for where, row in self._rows("corpus", split, code):
            yield self._candidate(row, where, code)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the judged queries of one modality."""
        code = self._query_code(task)
        judged, instructions = set(self._qrels(split).queries.to_pylist()), self._instructions(split)
        for where, row in self._rows("queries", split, code):
            if tables.row_id(row, where) in judged:
                yield self._query(row, where, code, task, instructions)

    def _rows(self, table: str, split: str, code: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for part in self._parts(table, split):
            rows = tables.rows_of_file(part.path, None, part.group)
            yield from (row for own, row in zip(part.codes, rows, strict=True) if own == code)

    def _query_code(self, task: str) -> int:
        return next(tables.MODALITIES.index(known.query_modality) for known in self.tasks if known.name == task)

    def _candidate(self, row: dict[str, Any], where: str, code: int) -> Candidate:
        images = tables.row_images(row, self.images, where) if code else (None,)
        text = None if code == 1 else tables.row_text(row, where)
        more = tuple(image for image in images[1:] if image is not None)
        return Candidate(tables.row_id(row, where), text=text, image=images[0], more_images=more)

    def _query(self, row: dict[str, Any], where: str, code: int, task: str, instructions: Mapping[str, str]) -> Query:
        candidate = self._candidate(row, where, code)
        said = row.get("instruction") or instructions.get(candidate.id) or self._options.get("instruction", "")
        return Query(
            *(candidate.id, task, str(said)),
            text=candidate.text,
            image=candidate.image,
            more_images=candidate.more_images,
        )

    def _instructions(self, split: str) -> dict[str, str]:
        if not self._files["instruction"]:
            return {}
        rows = (row for path in self._paths("instruction", split) for _, row in tables.rows_of_file(path))
        return {str(row.get("query-id")): str(row.get("instruction") or "") for row in rows}

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the judgements of one modality's queries."""
        qrels = self._qrels(split)
        own = self._of_task(task, split)
        for query, candidate, score in qrels.rows():
            if own is None or query in own:
                yield Judgement(query, candidate, score)

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the list to rerank of each judged query of one modality."""
        if not self._files["top_ranked"]:
            return
        own = self._of_task(task, split)
        judged = set(self._qrels(split).queries.to_pylist())
        for record in read_lists(self._paths("top_ranked", split), self._ids("corpus", split)):
            if record.query_id in judged and (own is None or record.query_id in own):
                yield record

    def _of_task(self, task: str, split: str) -> set[str] | None:
        """Return the ids of a task's queries; None where the data set has one task."""
        return None if len(self.tasks) == 1 else {query.id for query in self.queries(task, split)}

    def chunks(self, table: str, stem: str, split: str) -> Sequence[Chunk] | None:
        """Return the parts of a corpus or of queries in Parquet files, which are read when asked for."""
        if table not in ("corpus", "queries"):
            return None
        parts = self._parts(table, split)
        if any(part.group is None for part in parts):
            return None
        schema = table_of(table, stem, self.tasks, self.corpora).schema()
        if table == "corpus":
            code = tables.MODALITIES.index(self.corpora[stem])
            keeps = [part.codes == code for part in parts]
            make = self._maker(lambda row, where: candidate_row(self._candidate(row, where, code), open_world=True))
        else:
            code, said = self._query_code(stem), self._instructions(split)
            judged = pc.is_in(self._ids("queries", split), value_set=self._qrels(split).queries)
            ends = np.cumsum([len(part.codes) for part in parts])
            masks = np.split(np.asarray(judged), ends[:-1])
            keeps = [(part.codes == code) & mask for part, mask in zip(parts, masks, strict=True)]
            make = self._maker(
                lambda row, where: query_row(self._query(row, where, code, stem, said), open_world=True), stem
            )
        return [
            tables.LazyChunk(part, keep, make, schema, _NEEDS)
            for part, keep in zip(parts, keeps, strict=True)
            if keep.any()
        ]

    def _maker(
        self, whole: Callable[[dict[str, Any], str], dict[str, Any]], task: str = ""
    ) -> Callable[[dict[str, Any], str, Sequence[str]], dict[str, Any]]:
        """Return what makes a row of ours; ids alone are made without the rest of the row."""

        def make(row: dict[str, Any], where: str, wanted: Sequence[str]) -> dict[str, Any]:
            if set(wanted) <= {"id", "task", "cluster"}:
                return {"id": tables.row_id(row, where), "task": task, "cluster": ""}
            return whole(row, where)

        return make


_CONTENT: tuple[str, ...] = (*tables.IDS, *tables.TEXTS, "title", "image", "images", "instruction")
_IMAGES = ("image", "image_sha256", "more_images", "more_images_sha256")
_WHOLE = ("text", *_IMAGES, "modality", "instruction", "grains", "image_grains")
_NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_WHOLE, _CONTENT),
    **dict.fromkeys(("id", "task", "cluster"), tables.IDS),
}
"""The columns of a data set that each of ours is made of."""
