"""MS MARCO's passages (Bajaj et al. 2016, arXiv 1611.09268): ``drag data convert msmarco --source FOLDER``.

``collection.tsv`` (id, tab, passage), ``queries.*.tsv`` (id, tab, query) and ``qrels.*.tsv`` (query, 0, passage, 1),
all of them gzipped or not; other judgements beside them, as those of TREC's Deep Learning tracks, are the test set.

Or ``collection.tsv`` with the parquet files that rewriting is trained on elsewhere: ``uid`` and ``prompt``, a text or
a chat's messages whose last one of the user is the query, and a pickle ``*labels*.pkl`` from uid to passage ids. It is
read without running anything that it says. The pickle of row numbers and ids that belongs to a FAISS index is not
needed: an index of ours names its pages.

Verified on the rows that Anserini's introduction prints of ``collection.tsv``, ``queries.dev.small.tsv`` and
``qrels.dev.small.tsv``, of which others know the same names and columns. Unverified: whole files; the parquet files are
known from the code that reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_preprocess.bad_rows import DroppedRows
from data_preprocess.collection_files import CollectionFiles, collection_files, split_of
from data_preprocess.corpus_lines import LineCorpus, tsv_documents
from data_preprocess.datasets import Dataset, Questions
from data_preprocess.judged_sets import JudgedSet, page_of
from data_preprocess.parquet_rows import columns_of, parquet_rows, text_of
from data_preprocess.pickled_labels import judgements
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.files.plain_pickle import read_plain_pickle
from drag_rl.splits import Split
from drag_rl.types import Question
from drag_rl.types.question import MAX_GRADE

FACTS = {
    "licence": "MS MARCO's terms: non-commercial research",
    "citation": "MS MARCO: Bajaj et al. 2016, arXiv 1611.09268",
}


def read_msmarco(source: Path) -> Dataset:
    """The passages and judged queries. Raises ``InputError`` for a folder that has no such files, or a damaged one."""
    files = collection_files(source)
    corpus = [path for path in files.others if "collection" in path.name and ".tsv" in path.suffixes]
    if len(corpus) != 1:
        raise InputError(
            f"--source {source}: has {len(corpus)} files collection.tsv; give a folder with just one"
        )
    rows = DroppedRows()
    left_out = [path.relative_to(source).as_posix() for path in files.left_out]
    return Dataset(
        texts=LineCorpus(files=corpus, read=tsv_documents, rows=rows),
        ask=_asker(source, files, rows),
        dropped=rows.counts,
        problems=rows.problems,
        facts=FACTS | {"files_left_out": left_out},
    )


def _asker(source: Path, files: CollectionFiles, rows: DroppedRows) -> Callable[[WrittenPages], Questions]:
    labels = [path for path in files.others if "label" in path.name and path.suffix in (".pkl", ".pickle")]
    prompts = [path for path in files.others if path.suffix == ".parquet"]
    if files.queries and files.qrels:
        return JudgedSet(queries=files.queries, qrels=files.qrels, data_source="msmarco", rows=rows)
    if len(labels) != 1 or not prompts:
        raise InputError(
            f"--source {source}: has neither queries.*.tsv with qrels.*.tsv, nor *.parquet with one *labels*.pkl"
        )
    return lambda pages: _labelled(prompts, labels[0], pages, rows)


def _labelled(paths: Sequence[Path], labels_file: Path, pages: WrittenPages, rows: DroppedRows) -> Questions:
    """The prompts of parquet files with the passages that the labels give them."""
    labels = read_plain_pickle(labels_file)
    if not isinstance(labels, Mapping):
        raise InputError(f"{labels_file}: holds a {type(labels).__name__}, not a dict from uid to passages")
    asked = list(_prompts(paths, rows))
    gold = {uid: _graded(where, uid, labels, labels_file, rows) for where, _, uid, _ in asked}
    known = pages.known({page_id for own in gold.values() for page_id in own})
    questions: dict[Split, list[Question]] = {}
    for where, split, uid, text in asked:
        own = {page_id: grade for page_id, grade in gold[uid].items() if page_id in known}
        if len(own) < len(gold[uid]):
            rows.drop(
                "labels_of_unknown_passages", where, f"a label of {uid!r} is no passage of the collection"
            )
        if not own:
            rows.drop("queries_without_relevant_page")
            continue
        questions.setdefault(split, []).append(
            Question(
                question_id=uid,
                text=text,
                gold_page_ids=tuple(own),
                gold_grades=tuple(own.values()),
                data_source="msmarco",
            )
        )
    return questions


def _prompts(paths: Sequence[Path], rows: DroppedRows) -> Iterator[tuple[str, Split, str, str]]:
    """Where each prompt stands, its split, uid and text; each uid once."""
    seen: set[str] = set()
    for path in paths:
        if missing := {"uid", "prompt"} - set(columns_of(path)):
            raise InputError(f"{path}: has no column {min(missing)!r}; it has {', '.join(columns_of(path))}")
        for number, row in parquet_rows(path, ["uid", "prompt"]):
            where, uid, text = f"{path} row {number}", text_of(row["uid"]), clean_text(_said(row["prompt"]))
            if not uid or not text:
                rows.drop("queries_that_are_wrong", where, f"has no {'prompt' if uid else 'uid'}")
            elif uid in seen:
                rows.drop("queries_asked_again", where, f"uid {uid!r} is there twice")
            else:
                seen.add(uid)
                yield where, split_of(path), uid, text


def _said(prompt: Any) -> str:
    """A prompt that is a text, or the last message of the user in one that is a chat."""
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    contents = [one.get("content") for one in messages if isinstance(one, dict) and one.get("role") == "user"]
    return contents[-1] if contents and isinstance(contents[-1], str) else ""


def _graded(where: str, uid: str, labels: Mapping[Any, Any], path: Path, rows: DroppedRows) -> dict[str, int]:
    """Page -> grade, the best first."""
    value = labels.get(uid, labels.get(int(uid)) if uid.isdecimal() and len(uid) < 20 else None)
    if value is None:
        rows.note(where, f"uid {uid!r} has no label in {path.name}")
        return {}
    try:
        found = sorted(judgements(uid, value, path), key=lambda one: -one[1])
    except InputError as error:
        rows.note(where, str(error))
        return {}
    return {page_of(doc_id): grade for doc_id, grade in found if 1 <= grade <= MAX_GRADE}
