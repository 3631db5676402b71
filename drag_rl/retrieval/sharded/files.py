"""What an index of shards has in its folder: the pages once, and the postings by shard.

A shard is a BM25 index of consecutive pages; its texts, terms and vocabulary are slices of those of all pages, which
lie in the index folder as those of any index and are memory-mapped. Shape letters: D pages, W different terms.
"""

from __future__ import annotations

import json
import shutil
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
from drag_rl.retrieval.sparse.impacts import write_impacts
from drag_rl.retrieval.sparse.index import BM25_FOLDER, Bm25Index
from drag_rl.retrieval.sparse.postings import COUNTS, statistics_of, write_postings
from drag_rl.retrieval.sparse.statistics import Bm25Statistics
from drag_rl.retrieval.tokenizer import read_tokenizer

SHARDS = "shards"
CUTS = "cuts.json"
"""In that folder: where shards begin."""
HOLDING, SUMS = "holding.npy", "sums.json"
"""There while the index is written: how many units of all shards hold each term (W,); how many units and terms there
are."""


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
    write_postings(shard / BM25_FOLDER, _terms(PageTerms.open(folder), begin, end), index.passage_tokens)


def write_statistics(folder: Path) -> None:
    """Write what is known of all shards together, whose postings have been written."""
    shards = [shard_folder(folder, number) / BM25_FOLDER for number in range(len(read_cuts(folder)))]
    together = Bm25Statistics.of_all([statistics_of(shard) for shard in shards])
    np.save(folder / SHARDS / HOLDING, together.holding)
    sums = {"units": together.units, "terms": together.terms}
    (folder / SHARDS / SUMS).write_text(json.dumps(sums), encoding="utf-8")


def weigh_shard(folder: Path, number: int, index: Bm25Index) -> None:
    """Write what the postings of a shard add to scores, by the statistics of all shards; done once, it stays."""
    shard = shard_folder(folder, number) / BM25_FOLDER
    if not (shard / COUNTS).is_file():  # an attempt that was taken for lost has done it
        return
    sums = json.loads((folder / SHARDS / SUMS).read_text(encoding="utf-8"))
    write_impacts(
        shard, index.formula, Bm25Statistics(holding=mapped_array(folder / SHARDS / HOLDING), **sums)
    )


def forget_statistics(folder: Path) -> None:
    """Remove what :func:`write_statistics` wrote, once all shards are weighed."""
    for name in (HOLDING, SUMS):
        (folder / SHARDS / name).unlink()


def open_shard(folder: Path, number: int) -> Bm25:
    """The BM25 index of one shard, memory-mapped; its pages score as they do in one index of all shards' pages."""
    return Bm25(shard_folder(folder, number) / BM25_FOLDER, _shard_pages(folder, number))


def shard_folder(folder: Path, number: int) -> Path:
    """Where a shard lies in an index folder."""
    return folder / SHARDS / f"{number:04}"


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
