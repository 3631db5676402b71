"""``drag filter``: keep the trajectories that are worth learning from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drag_rl.star.filter import filter_trajectories
from drag_rl.star.rules import RULES, Limits, select_rules
from drag_rl.star.statistics import ABOVE_MEAN, PER_QUESTION, Statistics, percent

DEFAULTS = Limits()
RULE_LIST = ", ".join(
    f"{name}{'' if rule.default else ' (off)'}: {rule.keeps}" for name, rule in RULES.items()
)

GROUP_RULES = {
    ABOVE_MEAN: "better than the mean of the question's samples",
    PER_QUESTION: "the best samples of each question",
}
"""What the rules keep that compare the samples of a question."""


def filter(
    input: Annotated[
        list[Path],
        typer.Option(help="Trajectories of `drag collect`; repeat it to filter several files as one."),
    ],
    output: Annotated[Path, typer.Option(help="The trajectories that are kept, such as processed.jsonl.")],
    stats: Annotated[
        Path | None,
        typer.Option(help="Statistics as JSON.", show_default="stats.json beside the output"),
    ] = None,
    rules: Annotated[
        str,
        typer.Option(
            help=f"Names, comma-separated; -name takes one away, as in default,-well_formed. {RULE_LIST}."
        ),
    ] = "default",
    max_turns: Annotated[int, typer.Option(min=0, help="within_length: the most turns; 0 for any.")] = 0,
    max_tokens: Annotated[
        int, typer.Option(min=0, help="within_length: the most tokens of the whole conversation; 0 for any.")
    ] = 0,
    copy_words: Annotated[
        int, typer.Option(min=1, help="no_hint_copy: so many of the hint's words in a row are a copy.")
    ] = DEFAULTS.copy_words,
    above_mean: Annotated[
        bool,
        typer.Option(
            "--above-mean",
            help="Keep samples that rank gold better than the mean of their question's samples: what all of them can,"
            " or none, has nothing to teach.",
        ),
    ] = False,
    per_question: Annotated[
        int,
        typer.Option(
            min=0,
            help="Keep the best samples of a question only, this many: by rank, then fewest searches. 0 for all.",
        ),
    ] = 0,
) -> None:
    """Keep the trajectories that pass every rule; each drop is counted by the first rule that it failed."""
    statistics, manifest = filter_trajectories(
        input,
        output,
        stats or output.with_name("stats.json"),
        rules=select_rules(rules),
        limits=Limits(max_turns=max_turns, max_tokens=max_tokens, copy_words=copy_words),
        above_mean=above_mean,
        per_question=per_question,
    )
    _report(Console(soft_wrap=True, highlight=False), statistics)
    warn = Console(stderr=True, soft_wrap=True, highlight=False)
    for problem in manifest.problems:
        warn.print(f"{problem.where}: {problem.reason}", markup=False)


def _report(console: Console, found: Statistics) -> None:
    console.print("TRAJECTORY PROCESSING STATISTICS\n", style="bold")
    console.print("Trajectories:")
    console.print(f"  Total: {found.total}")
    console.print(f"  Valid: {found.valid} ({found.valid_percent}%)")
    console.print(f"  Filtered: {found.filtered} ({found.filtered_percent}%)")
    console.print(f"  Questions with a valid one: {found.questions_valid} of {found.questions}")
    if found.hinted:
        console.print(f"  Valid among those with a hint: {found.hinted_valid} of {found.hinted}")
    _distribution(console, "Iterations to First Success", "Step", found.first_success_step)
    _distribution(console, "Best Rank Distribution", "Rank", found.best_rank)
    sources = Table("Data source", "Total", "Valid", "Filtered", "Valid %", title="By data source")
    for name, source in found.data_sources.items():
        share = f"{percent(source.valid, source.total)}"
        sources.add_row(Text(name), str(source.total), str(source.valid), str(source.filtered), share)
    console.print(sources)
    rules = Table("Rule", "Dropped", "Failed in all", "Keeps", title="By rule (a drop counts for the first)")
    for name, count in found.rules.items():
        keeps = RULES[name].keeps if name in RULES else GROUP_RULES[name]
        rules.add_row(name, str(count.dropped), str(count.failed), Text(keeps))
    console.print(rules)
    if found.filtered_for_wasted_turns:
        masked = [name for name in found.rules if name in RULES and RULES[name].masked]
        console.print(
            f"{found.filtered_for_wasted_turns} were dropped only for turns that training can mask;"
            f" --rules default,{','.join(f'-{name}' for name in masked)} keeps them."
        )


def _distribution(console: Console, title: str, unit: str, counts: dict[str, int]) -> None:
    console.print(f"\n{title}:")
    for value, count in counts.items():
        console.print(f"  {unit} {value}: {count} ({percent(count, sum(counts.values()))}%)")
