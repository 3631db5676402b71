"""A comparison on a terminal: tables for the eye, without the escapes of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from drag_rl.console import table_console
from drag_rl.evaluation.compare import EXAMPLE_METRIC, Comparison, Example, Pair
from drag_rl.evaluation.report import BRIEF_LEGEND, LEGEND, all_labels, attempt, cells, plain_line
from drag_rl.metrics.table import METRICS, SHORT_TABLE

STYLES = {"better": "green", "worse": "red", "can't tell": "dim"}


def print_comparison(comparison: Comparison, *, everything: bool, hint: str = "") -> None:
    """Print the short table of each pair; with ``everything`` all metrics, and examples of questions won and lost.

    ``hint`` is a last line for the reader.
    """
    console = table_console()
    for part in _parts(comparison, everything):
        console.print(part)
    if hint:
        console.print(Text(hint, style="dim"))


def _parts(comparison: Comparison, everything: bool) -> Iterator[RenderableType]:
    split = plain_line(comparison.split)
    yield Text(f"{comparison.questions} questions ({split}), {comparison.corpus_pages} pages.")
    base = plain_line(comparison.base)
    yield Text(f"Base: {base} ({plain_line(comparison.policies[comparison.base])})")
    yield Text(plain_line(comparison.costs[comparison.base]), style="dim")
    for pair in comparison.pairs:
        yield ""
        name = plain_line(pair.name)
        yield Text.assemble(
            (f"{name} against {base}", "bold"), f" ({plain_line(comparison.policies[pair.name])})"
        )
        yield Text(plain_line(comparison.costs[pair.name]), style="dim")
        if pair.notes:
            yield Text(f"Not only the policy differs: {plain_line('; '.join(pair.notes))}.", style="yellow")
        yield _table(comparison, pair, everything)
        if everything:
            yield from _examples("Won", pair.won)
            yield from _examples("Lost", pair.lost)
    yield ""
    yield Constrain(Text(LEGEND if everything else BRIEF_LEGEND, style="dim"), width=100)


def _table(comparison: Comparison, pair: Pair, everything: bool) -> Table:
    labels = all_labels(pair) if everything else SHORT_TABLE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Metric", min_width=12)
    names = plain_line(comparison.base), plain_line(pair.name)
    headings = *names, "Change [95 %]", "Relative", "Verdict", "W/L/T"
    for heading in headings if everything else (*headings[:3], headings[4]):
        table.add_column(Text(heading), justify="right", no_wrap=heading not in names)
    lines = {line.metric: line for line in pair.lines}
    for name, label in labels.items():
        if name in lines:
            shown = cells(METRICS[name], label, lines[name], comparison.questions)
            shown = shown if everything else [*shown[:4], shown[5]]  # as much as eighty columns hold
            verdict = lines[name].verdict
            table.add_row(*(Text(cell, style=STYLES[verdict] if cell == verdict else "") for cell in shown))
    return table


def _examples(title: str, examples: Sequence[Example]) -> Iterator[RenderableType]:
    if not examples:
        return
    yield Text(f"{title} (by {METRICS[EXAMPLE_METRIC].label}; the largest changes)", style="bold")
    for example in examples:
        yield Text(f"  {plain_line(example.question)} ({plain_line(', '.join(example.base.gold_page_ids))})")
        yield Text(f"    before: {attempt(example.base, plain_line)}")
        yield Text(f"    after:  {attempt(example.other, plain_line)}")
