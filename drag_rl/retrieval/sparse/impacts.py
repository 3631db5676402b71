"""Impacts: what each posting adds to the score of its unit, worked out once, when an index is written.

Shape letters: U units, W different terms, N postings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drag_rl.retrieval.mapped import mapped_array
from drag_rl.retrieval.sparse.formula import Formula
from drag_rl.retrieval.sparse.postings import COUNTS, IMPACTS, INDPTR, LENGTHS, ROWS, new_array
from drag_rl.retrieval.sparse.statistics import Bm25Statistics


def write_impacts(folder: Path, formula: Formula, statistics: Bm25Statistics) -> None:
    """Write the impacts of the postings in a folder; the counts and lengths, which nothing else needs, are removed.

    ``statistics`` are those of the corpus, or of one that these postings are a part of, so that its units score, to the
    last bit, as they do in an index of all of it. The memory that this needs grows with the vocabulary.
    """
    from drag_rl.retrieval.sparse.counting import fill_impacts

    lengths = mapped_array(folder / LENGTHS)
    rows = mapped_array(folder / ROWS)
    held, which = np.unique(statistics.holding, return_inverse=True)
    idf = np.array(
        [formula.idf(statistics.units, int(holding)) if holding else 0 for holding in held], dtype=np.float32
    )
    fill_impacts(
        mapped_array(folder / INDPTR),
        rows,
        mapped_array(folder / COUNTS),
        lengths,
        formula.norms(int(lengths.max(initial=0)), statistics.mean_length),
        formula.factor,
        idf[which],
        new_array(folder / IMPACTS, np.dtype(np.float32), len(rows)),
    )
    for name in (COUNTS, LENGTHS):
        (folder / name).unlink()
