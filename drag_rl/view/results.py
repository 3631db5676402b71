"""Results of ``drag evaluate``: their trajectories, the metrics of each question, and what a generator answered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.evaluation.results import read_results
from drag_rl.metrics.table import METRICS
from drag_rl.types import Generated

Scores = Mapping[str, Mapping[str, float]]
"""Question id -> label of a metric -> mean over the question's samples, where it applies."""
Answers = Mapping[tuple[str, int], Generated]
"""Question id and sample -> what a generator answered, where one was asked."""


def trajectories_of(path: Path) -> tuple[Path, Scores, Answers]:
    """The trajectories behind results, where they lay or beside the results, the scores and the answers.

    Raises ``InputError`` if the file is no results, or its trajectories are gone.
    """
    results = read_results(path)
    kept = results.paths.get("trajectories")
    if kept is None:
        raise InputError(f"{path}: does not say where its trajectories are; give their .jsonl file instead")
    places = [Path(kept), path.parent / Path(kept).name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(f"{path}: its trajectories are gone ({kept}); put {Path(kept).name} beside it")
    scores = {
        row.question_id: {
            METRICS[name].label: value
            for name, value in row.metrics.items()
            if value is not None and name in METRICS
        }
        for row in results.rows
    }
    answers = {
        (row.question_id, sample.sample): sample.generated
        for row in results.rows
        for sample in row.samples
        if sample.generated is not None
    }
    return found, scores, answers
