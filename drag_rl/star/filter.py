"""``trajectories.jsonl`` -> ``processed.jsonl``: keep what is worth learning from, and count every drop."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from drag_rl.errors import InputError
from drag_rl.files.folders import claim_file
from drag_rl.files.manifest import Manifest, atomic_path, atomic_write, sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.star.rules import RULES, Limits
from drag_rl.star.statistics import ABOVE_MEAN, PER_QUESTION, Counts, Statistics
from drag_rl.trajectories.stored import iter_places, provenance, read_at
from drag_rl.types import Trajectory
from reward.rank import deep_rank

Place = tuple[int, int]
"""Which input, and where in it a row begins."""
Merit = tuple[float, int, int, int]
"""What decides between the samples of a question, the deep rank's negative first; the smallest is the best."""
Judged = tuple[str, Merit]
"""A sample's question, and its merit."""

STAGE = "filter"
NO_SAMPLE = {"unique", "no_error"}
"""Rules whose failures are no samples of the policy: they do not count for the mean of their question."""
ROUNDING = 1e-9
"""A mean of equal numbers may differ from them by so much."""


def filter_trajectories(
    inputs: Sequence[Path],
    output: Path,
    stats: Path,
    *,
    rules: Sequence[str],
    limits: Limits | None = None,
    above_mean: bool = False,
    per_question: int = 0,
) -> tuple[Statistics, Manifest]:
    """Copy the trajectories that pass all ``rules`` to ``output``, line by line as they are, and count the others.

    ``rules`` are names of :data:`RULES` in its order. With ``above_mean`` only samples whose deep rank is above the
    mean of all samples of their question are kept: those to which GRPO would give a positive advantage. With
    ``per_question`` only so many samples of a question are kept: those with the best rank, then the fewest searches,
    then the lowest sample number. Writes ``output``, ``stats`` and a manifest, each whole or not at all. Raises
    InputError for an input that is missing, empty or no file of trajectories, and for files in the way that no earlier
    run has made.
    """
    started = time.perf_counter()
    limits = limits or Limits()
    refuse_overlap({"--output": output, "--stats": stats}, {"--input": inputs})
    claim_file(output, STAGE, "--output")
    claim_file(stats, STAGE, "--stats", made_with=output)
    fingerprints, settings, problems = provenance(inputs)
    groups = [ABOVE_MEAN] * above_mean + [PER_QUESTION] * bool(per_question)
    counts = Counts([*rules, *groups])
    kept, scores = _judge(inputs, rules, limits, counts)
    if not counts.total:
        raise InputError(f"{inputs[0]}: holds no trajectory")
    if above_mean:
        kept = _above_mean(kept, scores, counts)
    if per_question:
        kept = _best_samples(kept, per_question, counts)
    with atomic_path(output) as written:
        with written.open("wb") as file:
            for number, path in enumerate(inputs):
                for line, trajectory in read_at(path, [place for owner, place in kept if owner == number]):
                    counts.keep(trajectory)
                    file.write(line + b"\n")
        statistics = counts.statistics()
        manifest = (
            write_manifest(  # before the files that it says are ours, so that a kill leaves none without it
                output,
                stage=STAGE,
                fingerprint=sha256_file(written),
                inputs=fingerprints,
                config={
                    "rules": list(rules),
                    "limits": asdict(limits),
                    "above_mean": above_mean,
                    "per_question": per_question,
                }
                | settings,
                counts={"total": statistics.total, "valid": statistics.valid, "filtered": statistics.filtered}
                | {f"dropped_{name}": count.dropped for name, count in statistics.rules.items()},
                problems=problems,
                seconds=time.perf_counter() - started,
                files=[output.name, os.path.relpath(stats.resolve(), output.resolve().parent)],
            )
        )
        with atomic_write(stats) as text:
            json.dump(statistics.to_dict(), text, indent=1, ensure_ascii=False)
            text.write("\n")
    return statistics, manifest


def _judge(
    inputs: Sequence[Path], rules: Sequence[str], limits: Limits, counts: Counts
) -> tuple[dict[Place, Judged], dict[str, list[float]]]:
    """The rows that pass, in their order, and the deep ranks of all samples of each question."""
    tests = {name: RULES[name].build(limits) for name in rules}
    kept: dict[Place, Judged] = {}
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for number, path in enumerate(inputs):
        for place, _, trajectory in iter_places(path):
            counts.saw(trajectory)
            question_id = trajectory.outcome.question.question_id
            merit = _merit(trajectory, number)
            failed = [name for name, test in tests.items() if not test(trajectory)]
            if not NO_SAMPLE.intersection(failed):
                scores[question_id].append(-merit[0])
            if failed:
                counts.drop(failed)
            else:
                kept[number, place] = question_id, merit
    return kept, scores


def _merit(trajectory: Trajectory, number: int) -> Merit:
    outcome = trajectory.outcome
    score = deep_rank(outcome.best_gold_rank)
    return -score, len(outcome.searches), trajectory.sample, number


def _above_mean(
    kept: dict[Place, Judged], scores: dict[str, list[float]], counts: Counts
) -> dict[Place, Judged]:
    means = {question_id: fmean(samples) for question_id, samples in scores.items()}
    above = {}
    for place, (question_id, merit) in kept.items():
        if -merit[0] > means[question_id] + ROUNDING:
            above[place] = question_id, merit
        else:
            counts.drop([ABOVE_MEAN])
    return above


def _best_samples(kept: dict[Place, Judged], per_question: int, counts: Counts) -> dict[Place, Judged]:
    samples: defaultdict[str, list[tuple[Merit, Place]]] = defaultdict(list)
    for place, (question_id, merit) in kept.items():
        samples[question_id].append((merit, place))
    best = {place for group in samples.values() for _, place in sorted(group)[:per_question]}
    for _ in kept.keys() - best:
        counts.drop([PER_QUESTION])
    return {place: judged for place, judged in kept.items() if place in best}
