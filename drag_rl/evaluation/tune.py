"""``drag tune``: the threshold at which a policy makes a wanted number of searches, on average over questions.

Methods that decide themselves how often they search can only be compared at equal numbers of searches. Their thresholds
are tuned on validation questions, and then used on others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np

from drag_rl.errors import InputError
from drag_rl.evaluation.bootstrap import intervals
from drag_rl.evaluation.report import markdown_table
from drag_rl.files.manifest import read_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.metrics.costs import searched_itself
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.table import policy_source
from drag_rl.policies.tuned import Tried, Tuned, own_settings
from drag_rl.serving.served_model import shared_server
from drag_rl.star.collection import Collection, Progress
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Search, StopReason, Trajectory

NARROWEST = 1e-4
"""Bisection ends where its interval is this share of the whole range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """Where a policy stops with one value of its threshold, on each question that was played to its end."""

    value: float
    searches: tuple[int, ...]
    """Searches until it stopped."""
    solved: tuple[bool, ...]
    """Whether a gold page was among the top k of one of them."""

    @classmethod
    def of(cls, value: float, trajectories: Sequence[Trajectory], counts: Sequence[int]) -> Stops:
        """After so many searches of each trajectory."""
        outcomes = [trajectory.outcome for trajectory in trajectories]
        solved = (
            any(outcome.finds(turn) for turn in outcome.searches[:count])
            for outcome, count in zip(outcomes, counts, strict=True)
        )
        return cls(value=value, searches=tuple(counts), solved=tuple(solved))

    @property
    def mean(self) -> float:
        """The mean number of searches."""
        return fmean(self.searches)

    @property
    def tried(self) -> Tried:
        """As the result has it."""
        return Tried(value=self.value, searches=self.mean, success=fmean(self.solved))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What to tune; the options of ``drag tune``."""

    output: Path
    searches: float
    """The mean number of searches to come to."""
    collection: Collection
    """What to play; its ``out`` is the folder for the trajectories of each value that is tried."""
    tolerance: float = 0.05
    """A mean that is as near as this will do."""
    runs: int = 10
    """Values that are played, at most."""

    def run(self, progress: Progress) -> Tuned:
        """Find the value, and write it; trajectories that are there already are not played again.

        Raises InputError for a policy without a threshold, for a number of searches that no episode has, and as
        ``Collection.run`` does.
        """
        collection = self.collection
        if self.output.suffix != ".json":
            raise InputError(f"--output {self.output}: the result is JSON; give a name that ends in .json")
        source = policy_source(collection.policy)
        settings, most = type(source.policy_settings), collection.episode.search_turns
        if not settings.tunable:
            raise InputError(f"--policy {collection.policy.name}: has no threshold to tune")
        if not 0 <= self.searches <= most:
            raise InputError(f"--searches {self.searches:g}: an episode of this kind has at most {most}")
        refuse_overlap(
            {"--output": self.output}, {"--questions": collection.questions, "--index": collection.index}
        )
        search = self._from_signals if settings.stops_only else self._bisected
        with shared_server():
            tried = search(settings, progress)
        best = min(tried, key=self._distance)
        [interval] = intervals(np.array(best.searches, dtype=np.float64).reshape(-1, 1))
        made = read_manifest(self._path(settings, settings.bounds[1]))
        own = source.policy_settings.model_dump(mode="json", exclude_unset=True)
        tuned = Tuned(
            policy=collection.policy.name,
            settings=own | {settings.tunable: best.value},
            tunable=settings.tunable,
            asked_searches=self.searches,
            found=best.tried,
            low=interval.low,
            high=interval.high,
            questions=len(best.searches),
            tried=tuple(stops.tried for stops in sorted(tried, key=lambda stops: stops.value)),
            model=source.model,
            fingerprints=made.inputs,
            config={name: said for name, said in made.config.items() if name != "policy_settings"},
        )
        tuned.write(self.output)
        return tuned

    def _from_signals(self, settings: type[PolicySettings], progress: Progress) -> list[Stops]:
        """The best value and both ends, from the signals of one run, which never stops."""
        low, high = settings.bounds
        played = self._play(settings, high, progress)
        told = {one.signal for trajectory in played for one in trajectory.generations}
        signals = sorted(signal for signal in told if signal is not None)
        between = [(one + other) / 2 for one, other in pairwise(signals)]
        values = [low, *(value for value in between if low < value < high), high]

        def stops(value: float) -> Stops:
            return Stops.of(value, played, [searches_at(trajectory, value) for trajectory in played])

        place = bisect_left(values, self.searches, key=lambda value: stops(value).mean)
        return [stops(value) for value in sorted({low, *values[max(0, place - 1) : place + 1], high})]

    def _bisected(self, settings: type[PolicySettings], progress: Progress) -> list[Stops]:
        """Every value that was tried, each in a run of its own."""

        def stops(value: float) -> Stops:
            played = self._play(settings, value, progress)
            return Stops.of(value, played, [len(searched_itself(trajectory)) for trajectory in played])

        low, high = settings.bounds
        tried = [stops(low), stops(high)]
        rises = tried[1].mean >= tried[0].mean
        while (
            len(tried) < self.runs
            and min(map(self._distance, tried)) > self.tolerance
            and high - low > NARROWEST * (settings.bounds[1] - settings.bounds[0])
        ):
            middle = stops(round((low + high) / 2, 6))
            tried.append(middle)
            if (middle.mean < self.searches) == rises:
                low = middle.value
            else:
                high = middle.value
        return tried

    def _distance(self, stops: Stops) -> float:
        return abs(stops.mean - self.searches)

    def _path(self, settings: type[PolicySettings], value: float) -> Path:
        return self.collection.out / f"{settings.tunable}-{value:g}.jsonl"

    def _play(self, settings: type[PolicySettings], value: float, progress: Progress) -> list[Trajectory]:
        """The trajectories at a value. Raises InputError where one failed: means would be of other questions."""
        collection, path = self.collection, self._path(settings, value)
        said = {**own_settings(collection.policy.settings, collection.policy.name), settings.tunable: value}
        policy = replace(collection.policy, settings=said)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(collection, policy=policy, out=path).run(progress)
        played = sorted(read_trajectories(path), key=lambda one: one.trajectory_id)
        failed = [one for one in played if one.outcome.stop_reason is StopReason.ERROR]
        if failed:
            raise InputError(
                f"{path}: {len(failed)} episodes failed, the last one with: {failed[-1].error}; mend that, then run "
                "again with --retry-errors"
            )
        return played


def tried_table(tuned: Tuned) -> str:
    """What was found, and a table of the values that were tried."""
    rows = [
        [
            f"{tried.value:.4g}" + (" (taken)" if tried == tuned.found else ""),
            f"{tried.searches:.2f}",
            f"{100 * tried.success:.1f} %",
        ]
        for tried in tuned.tried
    ]
    table = markdown_table([tuned.tunable, "Searches", "Success"], rows)
    found = tuned.found
    return (
        f"{tuned.policy}: {tuned.tunable} {found.value:.4g} makes {found.searches:.2f} searches "
        f"[{tuned.low:.2f}, {tuned.high:.2f}], asked for {tuned.asked_searches:g}; {tuned.questions} questions\n\n"
        f"{table}"
    )


def searches_at(trajectory: Trajectory, value: float) -> int:
    """How many searches a policy would have made that stops before the first message whose signal is above a value."""
    made = 0
    for turn, generation in zip(trajectory.outcome.turns, trajectory.generations, strict=True):
        if generation.read_on or (generation.signal is not None and generation.signal > value):
            break
        made += isinstance(turn.action, Search)
    return made
