"""How long all scores of one trajectory take, against ir-measures' own evaluation of one query.

    python benchmarks/reward_speed.py                 trajectories made here, longer than usual
    python benchmarks/reward_speed.py FILE.jsonl      real ones, of `drag collect`

Every score is computed for every trajectory, whatever its weight. The limit is 1 ms a trajectory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

import ir_measures
from ir_measures import AP, P, R, Success, nDCG
from rich.console import Console
from rich.table import Table

from drag_rl.protocol import EpisodeConfig
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Answer, Hit, Outcome, Question, Search, StopReason, Turn
from reward import RewardConfig, compute_reward
from reward.group import GROUP_SCORES
from reward.guards import Rollout, guard_metrics
from reward.turn_credit import TurnCreditConfig, turn_credits

LIMIT_MS = 1.0
REPEATS = 5
SNIPPET = "“Use merge to join two data frames by common columns or row names”, or do other versions of database joins. "
THOUGHT = (
    "The manual itself would call this a join by key; I should look for the words that it would use here. "
)


def main() -> None:
    """Print the table; exits with 1 when a trajectory takes more than the limit."""
    outcomes = _read(Path(sys.argv[1])) if len(sys.argv) > 1 else [_made(number) for number in range(300)]
    config, credit = RewardConfig(), TurnCreditConfig()
    rewards = [compute_reward(outcome, config)[0] for outcome in outcomes]
    group = outcomes[:8]
    rows = {
        "all scores": _ms([lambda outcome=outcome: compute_reward(outcome, config) for outcome in outcomes]),
        "turn credits": _ms([lambda outcome=outcome: turn_credits(outcome, credit) for outcome in outcomes]),
        "all group scores, of 8": _ms([lambda: [score(group) for score in GROUP_SCORES.values()]] * 20)
        / len(group),
        "guards": _ms(
            [lambda: guard_metrics([Rollout("g", *pair) for pair in zip(rewards, outcomes, strict=True)])]
        )
        / len(outcomes),
    }
    theirs = _ir_measures_ms([outcome for outcome in outcomes if outcome.searches])
    table = Table(
        "a trajectory", "ms", "of an ir-measures query", title=f"{len(outcomes)} trajectories, medians"
    )
    for name, milliseconds in rows.items():
        table.add_row(name, f"{milliseconds:.3f}", f"{milliseconds / theirs:.1f} x")
    table.add_row("ir-measures, 5 measures of one query", f"{theirs:.3f}", "1.0 x")
    Console().print(table)
    sys.exit(int(rows["all scores"] > LIMIT_MS))


def _ms(calls: Sequence[Callable[[], object]]) -> float:
    """Median milliseconds of a call, over all calls and some repeats."""
    times = []
    for _ in range(REPEATS):
        for call in calls:
            started = perf_counter()
            call()
            times.append(perf_counter() - started)
    return median(times) * 1000


def _ir_measures_ms(outcomes: Sequence[Outcome]) -> float:
    """Milliseconds a query of the library's evaluation of the last searches, all queries in one call."""
    qrels, runs = {}, {}
    for number, outcome in enumerate(outcomes):
        hits = outcome.searches[-1].hits
        qrels[str(number)] = dict.fromkeys(outcome.question.gold_page_ids, 1)
        runs[str(number)] = {hit.page_id: -float(hit.rank) for hit in hits} or {"none": 0.0}
    measures = [nDCG @ 3, R @ 3, P @ 3, Success @ 3, AP]
    return _ms([lambda: list(ir_measures.iter_calc(measures, qrels, runs))]) / len(outcomes)


def _read(path: Path) -> list[Outcome]:
    return [trajectory.outcome for trajectory in islice(read_trajectories(path), 1000)]


def _made(number: int) -> Outcome:
    """A trajectory of four messages, with long thoughts, full snippets and a sentence as the answer."""
    turns = [_search(number, step) for step in range(1, 4)]
    text = "Use the merge function with its by argument on both data frames [R-data#7]."
    turns.append(
        Turn(
            step=4,
            text=f"<think>{THOUGHT * 5}</think><answer>{text}</answer>",
            action=Answer(text=text, citations=("R-data#7",), thought=THOUGHT * 5),
        )
    )
    question = Question(
        question_id=str(number),
        text="How do I join two tables by a key column?",
        gold_page_ids=("R-data#7", "R-data#8"),
        answers=("Use the merge function with by, on both of the data frames.", "merge"),
    )
    return Outcome(
        question=question,
        turns=tuple(turns),
        stop_reason=StopReason.ANSWERED,
        config=EpisodeConfig(),
        corpus_pages=828,
    )


def _search(number: int, step: int) -> Turn:
    snippet = (f"{number}, {step}: " + SNIPPET * 3)[:300]
    hits = tuple(
        Hit(page_id=f"R-data#{7 * step + rank}", rank=rank, score=9.0 / rank, snippet=snippet)
        for rank in (1, 2, 3)
    )
    lines = "\n".join(f"{hit.rank}. {hit.page_id}: {hit.snippet}" for hit in hits)
    query = f"merge data frames {step}"
    turn = Turn(
        step=step,
        text=f"<think>{THOUGHT * 5}</think><search>{query}</search>",
        action=Search(query=query, thought=THOUGHT * 5),
        hits=hits,
        gold_ranks=(40 - 10 * step, None),
    )
    return replace(turn, observation=f"<information>\n{lines}\n</information>")


if __name__ == "__main__":
    main()
