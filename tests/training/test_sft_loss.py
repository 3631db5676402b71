"""The loss of verl's own SFT trainer over our data set is, for masks and weights, that of another computation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sft_lab import FP32, assistant_spans, independent_loss, search_spans

pytestmark = pytest.mark.slow  # verl's trainer is imported

WEIGHTS = {
    "none": lambda row: 1.0,  # noqa: ARG005
    "rank-score": lambda row: row["rank_score"],
    "binary": lambda row: 1.0 if row["best_rank"] == 1 else 0.5,
}
MASKS = {
    "none": lambda row, text: [(0, len(text))],  # noqa: ARG005
    "assistant": assistant_spans,
    "search-only": search_spans,
}
CASES = [
    ("text", "assistant", "rank-score"),
    ("text", "search-only", "binary"),
    ("text", "none", "none"),
    ("page images", "assistant", "rank-score"),
]


@pytest.fixture(scope="module")
def files(world, shown):
    return {
        "text": world / "sft_trajectory_train.parquet",
        "page images": shown / "sft_trajectory_train.parquet",
    }


@pytest.fixture(scope="module")
def losses(world, files, tmp_path_factory):
    """The losses that verl's trainer reports of all cases, each over all rows of its file."""
    options = [
        [
            FP32,
            "sft_hardware=cpu",
            f"model.path={world / 'model'}",
            f"data.train_files={files[shows]}",
            f"data.train_batch_size={pq.read_metadata(files[shows]).num_rows}",
            f"data.drag.mask_strategy={mask}",
            f"data.drag.weight_scheme={weight}",
        ]
        for shows, mask, weight in CASES
    ]
    out = tmp_path_factory.mktemp("losses") / "losses.json"
    command = [sys.executable, Path(__file__).with_name("verl_losses.py"), out]
    done = subprocess.run(
        command, input=json.dumps(options), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(CASES, json.loads(out.read_text()), strict=True))


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_it_is_exact(world, files, losses, case):
    shows, mask, weight = case
    rows = pq.read_table(files[shows]).to_pylist()
    assert len(rows) > 3 and all(bool(row["images"]) == (shows != "text") for row in rows)
    wanted = independent_loss(world / "model", rows, MASKS[mask], WEIGHTS[weight])
    assert losses[case] == pytest.approx(wanted, rel=1e-4)
