"""Whatever stands in the columns of a data set, it is converted or refused in one line: no row ends in a traceback."""

from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import vidore_lab
from hypothesis import given, settings
from hypothesis import strategies as st

from data_preprocess.datasets import Dataset
from data_preprocess.vidore import read_vidore
from drag_rl.errors import InputError
from drag_rl.types import Question

TEXT = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["1", " ", "0", "a.png", "\ufdd0", "x#1", "../up"])
)
NUMBER = st.one_of(st.none(), st.integers(-3, 2000))
SHARE = st.one_of(st.none(), st.floats(width=32), st.sampled_from([1.0, 2.0, 0.5]))
KINDS = [
    (pa.string(), TEXT),
    (pa.int64(), NUMBER),
    (pa.float64(), SHARE),
    (pa.bool_(), st.one_of(st.none(), st.booleans())),
    (pa.list_(pa.string()), st.one_of(st.none(), st.lists(TEXT, max_size=2))),
]
PICTURE = vidore_lab.picture("x")
IMAGES = [
    (pa.binary(), st.sampled_from([None, b"", b"no image", PICTURE])),
    (pa.string(), TEXT),
    (
        vidore_lab.IMAGE,
        st.sampled_from([None, {"bytes": PICTURE, "path": None}, {"bytes": None, "path": "a.png"}]),
    ),
]
TABLES = {
    "corpus": ["corpus-id", "image", "doc_id", "page_number_in_doc", "markdown"],
    "queries": ["query-id", "query", "language", "answer", "raw_answers"],
    "qrels": ["query-id", "corpus-id", "score"],
    "data": ["query", "image", "image_filename", "answer", "questionId"],
}


@st.composite
def table(draw: st.DrawFn, columns: list[str]) -> pa.Table:
    """A table of a few rows whose columns have any type."""
    rows = draw(st.integers(0, 4))
    made = {}
    for name in columns:
        kind, cells = draw(st.sampled_from(IMAGES if name == "image" else KINDS))
        made[name] = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), type=kind)
    return pa.table(made)


def read(tables: dict[str, pa.Table]) -> Dataset | None:
    """What the reader makes of these tables; None if it refuses them."""
    with TemporaryDirectory() as folder:
        for name, rows in tables.items():
            (Path(folder) / name).mkdir()
            pq.write_table(rows, Path(folder) / name / "test-00000-of-00001.parquet")
        try:
            dataset = read_vidore(Path(folder))
            pages = [image.page_id for image in dataset.images or ()]
        except InputError as error:
            assert "\n" not in str(error)
            return None
    assert len(set(pages)) == len(pages), "each page once"
    questions: list[Question] = list(itertools.chain.from_iterable(dataset.questions.values()))
    assert all(set(question.gold_page_ids) <= set(pages) for question in questions)
    assert all(question.text.strip() for question in questions)
    assert all("\n" not in problem.reason for problem in dataset.problems)
    return dataset


@settings(max_examples=25)
@given(st.fixed_dictionaries({name: table(TABLES[name]) for name in ("corpus", "queries", "qrels")}))
def test_a_corpus_of_anything(tables: dict[str, pa.Table]) -> None:
    read(tables)


@settings(max_examples=20)
@given(table(TABLES["data"]))
def test_pairs_of_anything(rows: pa.Table) -> None:
    read({"data": rows})
