"""The training curves of a run: from its dumps, and from verl's TensorBoard events where they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from drag_rl.training.dumps import Curve, read_curve
from drag_rl.view.sources import DUMPS, dumps

Means = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture: one quantity over the steps."""

    title: str
    about: str
    """What it is, in one line."""
    share: bool
    """Whether it lies in [0, 1]."""
    series: Mapping[str, tuple[tuple[int, float], ...]]
    """``training``, ``validation`` -> (step, value), by step."""


def _mean(name: str) -> Callable[[Means], float | None]:
    return lambda means: means.get(name)


def _ratio(part: str, whole: str) -> Callable[[Means], float | None]:
    return lambda means: means[part] / means[whole] if means.get(whole) and part in means else None


FROM_DUMPS: tuple[tuple[str, str, bool, Callable[[Means], float | None]], ...] = (
    ("Reward", "mean of what trains", False, _mean("reward")),
    ("Rank score", "credit for the gold page's rank, 0 past top k", True, _mean("rank_score")),
    ("Hit@1", "share whose gold page came first", True, _mean("hit@1")),
    ("Turns", "messages an episode", False, _mean("turns")),
    ("Duplicate queries", "share of searches that repeat one", True, _ratio("duplicate_queries", "searches")),
    ("Malformed", "share of messages that are no action", True, _ratio("malformed", "turns")),
)
FROM_EVENTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Entropy",
        "nats a token; falls as the policy commits itself",
        ("actor/entropy", "drag/sampled_entropy"),
    ),
    ("Response length", "tokens of a rollout", ("response_length/mean",)),
)
"""Title, what it is, and the tags of which the first that was logged is drawn."""


def run_panels(run: Path) -> tuple[list[Panel], list[str]]:
    """The pictures of a run folder, and notes on those that could not be drawn.

    Raises ``InputError`` naming a dump's line that is no trajectory.
    """
    curves: dict[str, Curve] = {}
    for folder, label in DUMPS.items():
        if dumps(run / folder):
            curves[label] = read_curve(run / folder)
    panels = []
    for title, about, share, value in FROM_DUMPS:
        series = {
            label: _points({step: value(means) for step, means in curve.items()})
            for label, curve in curves.items()
        }
        panels.append(Panel(title=title, about=about, share=share, series=series))
    events, notes = _events(run / "tensorboard")
    panels += [
        Panel(title=title, about=about, share=False, series={"training": _points(events.get(title, {}))})
        for title, about, _ in FROM_EVENTS
    ]
    return [panel for panel in panels if any(panel.series.values())], notes


def _points(values: Mapping[int, float | None]) -> tuple[tuple[int, float], ...]:
    return tuple(
        (step, value) for step, value in sorted(values.items()) if value is not None and math.isfinite(value)
    )


def _events(folder: Path) -> tuple[dict[str, dict[int, float | None]], list[str]]:
    """Title -> step -> value; a step that a resumed run wrote again counts once, as written last."""
    if not any(folder.glob("events.out.tfevents.*")):
        return {}, ["no TensorBoard events in the run folder: no curves of entropy and response length"]
    if find_spec("tensorboard") is None:
        return {}, ["tensorboard is not installed: no curves of entropy and response length"]
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
    accumulator.Reload()
    known = accumulator.Tags()[SCALARS]
    found, missing = {}, []
    for title, _, tags in FROM_EVENTS:
        tag = next((tag for tag in tags if tag in known), None)
        if tag is None:
            missing.append(f"no curve of {title.lower()}: the run did not log {tags[0]}")
        else:
            found[title] = {event.step: event.value for event in accumulator.Scalars(tag)}
    return found, missing
