"""Results and comparisons as Markdown; :mod:`drag_rl.evaluation.terminal` shows comparisons to a reader at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from drag_rl.evaluation.compare import EXAMPLE_METRIC, SIGNIFICANCE, Comparison, Example, Line, Pair
from drag_rl.evaluation.costs import costs_line
from drag_rl.evaluation.results import Aggregate, QuestionRow, Results
from drag_rl.metrics.table import METRICS, SHORT_TABLE, Metric

BRIEF_LEGEND = (
    "Square brackets: 95 % bootstrap intervals over questions, paired where they are of a change. Better or worse: "
    f"the interval of the change leaves out 0 and a randomisation test gives p < {SIGNIFICANCE}; of twenty metrics "
    "that do not differ, one would still be called so. n: how many questions have the metric, where it is not all; the "
    "change is over those that both have."
)
STOPPING = (
    "stopped",
    "stop_precision",
    "stop_recall",
    "stopped_too_early",
    "searches",
    "searches_after_enough",
    "oracle_searches",
    "gold_covered",
    "kept_precision",
    "kept_recall",
    "unknown_pages",
)
"""The metrics of stops, of which the short table has those that apply."""
LEGEND = f"{BRIEF_LEGEND} W/L/T: questions won, lost, tied."


def results_table(results: Results, *, everything: bool = False) -> str:
    """The short table of one policy, with the metrics that were asked for beside those that are always taken.

    With ``everything`` it holds every metric that applies. Where the policy may say that it has enough, it holds also
    those of its stops, and their risk against their coverage.
    """
    stops = may_stop(results)
    more = [*(STOPPING if stops else ()), *results.names[len(METRICS) :]]
    shown = {} if everything else SHORT_TABLE
    listed = results.names if everything else more
    rows = [
        [label, with_interval(METRICS[name], aggregate), str(aggregate.n)]
        for name, label in (shown | {name: METRICS[name].label for name in listed}).items()
        if (aggregate := results.aggregate[name]).n
    ]
    model = plain_line(results.model)
    title = f"{model}: {len(results.rows)} questions ({results.split}), {results.corpus_pages} pages"
    if episode_option(results, "scope") == "document":
        title += f", {results.in_document} searched in their own document"
    errors = results.aggregate["error_rate"].value
    warning = f"\n{100 * errors:.1f} % of the episodes failed; they score 0." if errors else ""
    table = markdown_table(["Metric", "Mean [95 %]", "Questions"], rows)
    risk = f"\n\n{plain_line(stops_line(results))}" if stops else ""
    return f"{title}\n\n{table}{warning}{risk}\n\n{plain_line(costs_line(results))}"


def may_stop(results: Results) -> bool:
    """Whether the policy could end its episodes by saying that it has enough."""
    return bool(episode_option(results, "enough"))


def episode_option(results: Results, name: str) -> object:
    """An option of the episodes; None in results that are older than it."""
    episode = results.config.get("episode")
    return episode.get(name) if isinstance(episode, Mapping) else None


def stops_line(results: Results) -> str:
    """Risk against coverage in words."""
    points = (
        f"{100 * point.coverage:.1f} % by search {point.searches}, {100 * point.risk:.1f} % of them lack a gold page"
        for point in results.risk_coverage
    )
    return f"Stopped: {'; '.join(points) or 'never'}."


def comparison_text(comparison: Comparison, *, everything: bool) -> str:
    """A comparison as Markdown: the short table of each pair, its examples, and with ``everything`` all metrics."""
    return "\n".join(_comparison_lines(comparison, everything)) + "\n"


def with_interval(metric: Metric, aggregate: Aggregate) -> str:
    """A mean with its interval, such as ``46.2 % [39.5, 53.3]``."""
    interval = aggregate.interval
    low, high = (_number(metric, end) for end in (interval.low, interval.high))
    return f"{_shown(metric, interval.value)} [{low}, {high}]"


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are padded, the first to the left, the others to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [
        [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [aligned[0], rule, *aligned[1:]])


def _comparison_lines(comparison: Comparison, everything: bool) -> Iterator[str]:
    names = ", ".join(pair.name for pair in comparison.pairs)
    yield f"# {one_line(names)} against {one_line(comparison.base)}"
    yield ""
    yield f"{comparison.questions} questions ({comparison.split}), {comparison.corpus_pages} pages."
    yield ""
    for name, what in comparison.policies.items():
        yield f"- {one_line(name)}: {one_line(what)}; {one_line(comparison.costs[name])}"
    for pair in comparison.pairs:
        yield ""
        yield f"## {one_line(pair.name)}"
        yield ""
        if pair.notes:
            yield f"Not only the policy differs: {one_line('; '.join(pair.notes))}."
            yield ""
        yield _table(comparison, pair, SHORT_TABLE)
        yield from _examples("Won", pair.won)
        yield from _examples("Lost", pair.lost)
        if everything:
            yield ""
            yield "### All metrics"
            yield ""
            yield _table(comparison, pair, all_labels(pair))
    yield ""
    yield LEGEND


def all_labels(pair: Pair) -> dict[str, str]:
    """Every metric that a pair is compared by, and its label."""
    return {line.metric: METRICS[line.metric].label for line in pair.lines}


def _table(comparison: Comparison, pair: Pair, labels: dict[str, str]) -> str:
    names = one_line(comparison.base), one_line(pair.name)
    headings = ["Metric", *names, "Change [95 %]", "Relative", "Verdict", "W/L/T"]
    lines = {line.metric: line for line in pair.lines}
    rows = [
        cells(METRICS[name], label, lines[name], comparison.questions)
        for name, label in labels.items()
        if name in lines
    ]
    return markdown_table(headings, rows)


def cells(metric: Metric, label: str, line: Line, questions: int) -> list[str]:
    """A row of a pair's table: label, both means, change, relative change, verdict, and questions won, lost, tied."""
    sides = [
        _shown(metric, side.interval.value) + (f" (n={side.n})" if side.n < questions else "")
        for side in (line.base, line.other)
    ]
    value, low, high = (
        _number(metric, end, sign=True) for end in (line.change.value, line.change.low, line.change.high)
    )
    relative = "" if line.relative is None else f"{100 * line.relative:+.1f} %"
    counts = f"{line.wins}/{line.losses}/{line.ties}"
    return [label, *sides, f"{value} [{low}, {high}]", relative, line.verdict, counts]


def _examples(title: str, examples: Sequence[Example]) -> Iterator[str]:
    if not examples:
        return
    yield ""
    yield f"### {title} (by {METRICS[EXAMPLE_METRIC].label}; the largest changes)"
    yield ""
    for example in examples:
        yield f"- {one_line(example.question)} ({one_line(', '.join(example.base.gold_page_ids))})"
        yield f"    - before: {attempt(example.base)}"
        yield f"    - after: {attempt(example.other)}"


def attempt(row: QuestionRow, clean: Callable[[str], str] | None = None) -> str:
    """What a policy searched for and where the gold page was; ``clean`` makes a line of a text (default: Markdown)."""
    clean = clean or one_line
    sample = row.samples[0]
    if not sample.queries:
        return f"no search ({clean(sample.error or sample.stop_reason)})"
    ranks = ("not ranked" if rank is None else f"rank {rank}" for rank in sample.gold_ranks)
    return ", ".join(f"“{clean(query)}” {rank}" for query, rank in zip(sample.queries, ranks, strict=True))


def plain_line(text: str, max_chars: int = 200) -> str:
    """Text of a model or a file for one line of a terminal: no control characters.

    >>> plain_line("a\\n*b* \\x1b[31m")
    'a *b* [31m'
    """
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return words if len(words) <= max_chars else words[: max_chars - 1] + "…"


def one_line(text: str, max_chars: int = 200) -> str:
    """Text of a model or a file for one line of Markdown: no control characters, no markup that acts.

    >>> one_line("a\\n*b* <script>")
    'a \\\\*b\\\\* &lt;script>'
    """
    words = plain_line(text, max_chars)
    for sign in "\\`*_[]#":
        words = words.replace(sign, "\\" + sign)
    return words.replace("<", "&lt;")


def _shown(metric: Metric, value: float) -> str:
    return _number(metric, value) + (" %" if metric.unit == "share" else "")


def _number(metric: Metric, value: float, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if metric.unit == "share":
        return f"{100 * value:{plus}.1f}"
    return f"{value:{plus}.3f}" if metric.unit == "score" else f"{value:{plus},.2f}"
