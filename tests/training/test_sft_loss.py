"""The loss of verl's own SFT trainer over our data set is, for every mask and weight, that of another computation."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from sft_lab import assistant_spans, first_loss, independent_loss, search_spans

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


@pytest.mark.parametrize(
    ("mask", "weight"), [("assistant", "rank-score"), ("search-only", "binary"), ("none", "none")]
)
def test_of_conversations_in_text(world, tmp_path, monkeypatch, mask, weight):
    train = world / "sft_trajectory_train.parquet"
    found = first_loss(world, train, tmp_path, monkeypatch, mask_strategy=mask, weight_scheme=weight)
    rows = pq.read_table(train).to_pylist()
    assert found == pytest.approx(
        independent_loss(world / "model", rows, MASKS[mask], WEIGHTS[weight]), rel=1e-4
    )


def test_of_conversations_with_page_images(world, shown, tmp_path, monkeypatch):
    train = shown / "sft_trajectory_train.parquet"
    rows = pq.read_table(train).to_pylist()
    assert len(rows) > 3 and all(row["images"] for row in rows)
    found = first_loss(world, train, tmp_path, monkeypatch)
    wanted = independent_loss(world / "model", rows, assistant_spans, WEIGHTS["rank-score"])
    assert found == pytest.approx(wanted, rel=1e-4)
