"""A comparison as a picture: bars with their 95 % intervals."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from drag_rl.evaluation.compare import Comparison
from drag_rl.evaluation.results import Aggregate
from drag_rl.files.manifest import atomic_path
from drag_rl.metrics.table import METRICS, SHORT_TABLE


def draw(comparison: Comparison, png: Path) -> None:
    """Bars of the short table's metrics, shares and scores on the left, numbers (lower is better) on the right."""
    bars = bars_of(comparison)
    shown = [name for name in SHORT_TABLE if all(name in metrics for metrics in bars.values())]
    groups = [
        [name for name in shown if (METRICS[name].unit == "number") == numbers] for numbers in (False, True)
    ]
    figure = Figure(figsize=(3 + 0.4 * len(bars) * max(len(shown), 3), 4.5), layout="constrained")
    ratios = [max(1, len(group)) for group in groups]
    for axes, group in zip(figure.subplots(1, 2, width_ratios=ratios), groups, strict=True):
        width = 0.8 / len(bars)
        for number, (policy, metrics) in enumerate(bars.items()):
            intervals = [metrics[name].interval for name in group]
            values = [interval.value for interval in intervals]
            errors = [
                [max(0.0, interval.value - interval.low) for interval in intervals],
                [max(0.0, interval.high - interval.value) for interval in intervals],
            ]
            places = [place + (number - (len(bars) - 1) / 2) * width for place in range(len(group))]
            axes.bar(places, values, width, yerr=errors, capsize=3, label=plain(policy))
        labels = [SHORT_TABLE[name] for name in group]
        axes.set_xticks(range(len(group)), labels, rotation=35, ha="right")
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        axes.set_title("higher is better" if group is groups[0] else "lower is better")
    figure.axes[0].set_ylim(0, 1)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(bars), 6))
    figure.suptitle(
        f"{comparison.questions} questions ({plain(comparison.split)}), means with 95 % intervals"
    )
    with atomic_path(png) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def bars_of(comparison: Comparison) -> dict[str, dict[str, Aggregate]]:
    """Policy -> metric -> mean and interval, the base first."""
    bars = {comparison.base: {line.metric: line.base for pair in comparison.pairs for line in pair.lines}}
    for pair in comparison.pairs:
        bars[pair.name] = {line.metric: line.other for line in pair.lines}
    return bars


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: a dollar sign would begin a formula, an underscore hide a legend.

    >>> plain("a$b"), plain("_run")
    ('a\\\\$b', ' _run')
    """
    escaped = text.replace("$", "\\$")
    return f" {escaped}" if escaped.startswith("_") else escaped
