"""What an index of shards has in its folder: the pages once, the postings by shard, and the statistics of the whole.

A shard is a BM25 index of consecutive pages; its texts, terms and vocabulary are slices of those of all pages, which
lie in the index folder as those of any index and are memory-mapped. Shape letters: D pages, W different terms.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from drag_rl.retrieval.mapped import mapped_array, mapped_batches
from drag_rl.retrieval.page_ids import PAGE_ORDER, TEXTS, PageIds
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sharded.cuts import Cuts
from drag_rl.retrieval.sparse.bm25 import Bm25
from drag_rl.retrieval.sparse.index import BM25_FOLDER, Bm25Index
from drag_rl.retrieval.sparse.postings import Postings
from drag_rl.retrieval.sparse.statistics import Bm25Statistics
from drag_rl.retrieval.tokenizer import read_tokenizer

SHARDS = "shards"
CUTS, HOLDING, SUMS = "cuts.json", "holding.npy", "sums.json"
"""In that folder: where shards begin, how many units of all shards hold each term (W,), and the numbers of units and
terms."""


def write_cuts(folder: Path, cuts: Cuts) -> None:
    """Write where the shards begin."""
    (folder / SHARDS).mkdir()
    (folder / SHARDS / CUTS).write_text(json.dumps({"starts": cuts.starts}), encoding="utf-8")


def read_cuts(folder: Path) -> Cuts:
    """Where the shards of an index begin."""
    found = json.loads((folder / SHARDS / CUTS).read_text(encoding="utf-8"))
    return Cuts(tuple(found["starts"]))


def write_shard(folder: Path, number: int, index: Bm25Index) -> None:
    """Write the postings of one shard, by the options of ``index``; the folder has the pages and the cuts already.

    What an earlier attempt has left is replaced.
    """
    shard = shard_folder(folder, number)
    shutil.rmtree(shard, ignore_errors=True)
    shard.mkdir()
    begin, end = read_cuts(folder).starts[number : number + 2]
    order_D = mapped_array(folder / PAGE_ORDER)
    np.save(shard / PAGE_ORDER, order_D[(order_D >= begin) & (order_D < end)] - np.int32(begin))
    index.write(shard, _shard_pages(folder, number))


def write_statistics(folder: Path) -> None:
    """Write what is known of all shards together, which have been written."""
    parts = [
        Postings.open(shard_folder(folder, number) / BM25_FOLDER) for number in range(len(read_cuts(folder)))
    ]
    holding_W = np.zeros(len(parts[0].indptr) - 1, dtype=np.int64)
    for part in parts:
        holding_W += np.diff(part.indptr)
    np.save(folder / SHARDS / HOLDING, holding_W)
    sums = {
        "units": sum(len(part.lengths) for part in parts),
        "terms": sum(int(part.lengths.sum(dtype=np.int64)) for part in parts),
    }
    (folder / SHARDS / SUMS).write_text(json.dumps(sums), encoding="utf-8")


def open_shard(folder: Path, number: int) -> Bm25:
    """The BM25 index of one shard, memory-mapped; its pages score as they do in one index of all shards' pages."""
    pages = _shard_pages(folder, number)
    return Bm25(shard_folder(folder, number) / BM25_FOLDER, pages, _statistics(folder, pages))


def shard_folder(folder: Path, number: int) -> Path:
    """Where a shard lies in an index folder."""
    return folder / SHARDS / f"{number:04}"


def _statistics(folder: Path, pages: PageTexts) -> Bm25Statistics:
    """Those of all shards' pages; ``pages`` are of one of them, whose terms have the same ids everywhere."""
    sums = json.loads((folder / SHARDS / SUMS).read_text(encoding="utf-8"))
    holding_W, vocabulary = mapped_array(folder / SHARDS / HOLDING), pages.terms.vocabulary

    def holding(terms: Sequence[str]) -> list[int]:
        return [0 if term_id is None else int(holding_W[term_id]) for term_id in map(vocabulary.get, terms)]

    return Bm25Statistics(units=sums["units"], terms=sums["terms"], holding=holding)


def _shard_pages(folder: Path, number: int) -> PageTexts:
    """The pages of one shard: a view of those of the index, terms with the same ids."""
    begin, end = read_cuts(folder).starts[number : number + 2]
    table = pa.Table.from_batches(mapped_batches(folder / TEXTS)).slice(begin, end - begin)
    ids = PageIds(table.column("page_id"), mapped_array(shard_folder(folder, number) / PAGE_ORDER))
    terms = _terms(PageTerms.open(folder), begin, end)
    return PageTexts(ids, table.column("text"), terms, read_tokenizer(folder))


def _terms(terms: PageTerms, begin: int, end: int) -> PageTerms:
    first, last = int(terms.page_starts[begin]), int(terms.page_starts[end])
    page_starts: npt.NDArray[np.int64] = terms.page_starts[begin : end + 1] - first
    page_starts.flags.writeable = False  # as mapped ones are, so that one compiled loop serves both
    return PageTerms(
        term_ids=terms.term_ids[first:last],
        starts=terms.starts[first:last],
        page_starts=page_starts,
        vocabulary=terms.vocabulary,
        holding=terms.holding,
    )
