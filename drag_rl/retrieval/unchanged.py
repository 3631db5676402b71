"""Which pages of an index folder an earlier index has already, with the same text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from drag_rl.retrieval.mapped import mapped_batches
from drag_rl.retrieval.page_ids import TEXTS

Rows = npt.NDArray[np.int64]


def unchanged_rows(folder: Path, earlier: Path) -> Rows:
    """Where each page stands in the earlier index, -1 for a page that is new or changed (D,)."""
    now, before = (pa.Table.from_batches(mapped_batches(place / TEXTS)) for place in (folder, earlier))
    ids = pa.concat_arrays(before.column("page_id").chunks)
    found = pc.fill_null(pc.index_in(now.column("page_id"), value_set=ids), -1)
    rows: Rows = found.to_numpy().astype(np.int64)
    texts, their_texts = now.column("text"), before.column("text")
    for place, row in enumerate(rows.tolist()):
        if row >= 0 and texts[place] != their_texts[row]:
            rows[place] = -1
    return rows
