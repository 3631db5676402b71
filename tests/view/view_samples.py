"""Trajectories to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from drag_rl.evaluation.results import Results, bootstrap_facts, score, write_results
from drag_rl.files.codec import to_json
from drag_rl.protocol import EpisodeConfig
from drag_rl.trajectories.rows import read_trajectories, write_row
from drag_rl.types import (
    Answer,
    Generated,
    Generation,
    Hit,
    Outcome,
    Question,
    Search,
    StopReason,
    Trajectory,
    Turn,
)
from reward.table import RewardConfig, compute_reward


def question_of(number: int) -> Question:
    return Question(
        question_id=f"q{number}",
        text=f"How is rotor {number} braked?",
        gold_page_ids=(f"manuals/rotor#{number % 2 + 1}",),
        answers=("with the rotor brake",),
        data_source="faq" if number % 3 else "outline",
    )


def outcome_of(question: Question, ranks: Sequence[int | None], *, answered: bool = True) -> Outcome:
    """A search a rank; the last search's gold page is cited, and a page that was never shown."""
    gold = question.gold_page_ids[0]
    turns = []
    for step, rank in enumerate(ranks, start=1):
        shown = [f"engine#{place}" for place in (1, 2, 3)]
        if rank is not None and rank <= 3:
            shown[rank - 1] = gold
        hits = tuple(
            Hit(page_id=page_id, rank=place, score=9.5 - place, snippet=f"snippet of {page_id} about blades")
            for place, page_id in enumerate(shown, start=1)
        )
        query = f"rotor brake {question.question_id} {step}"
        turns.append(
            Turn(
                step=step,
                text=f"<think>try {step}</think><search>{query}</search>",
                action=Search(query=query, thought=f"try {step}"),
                hits=hits,
                gold_ranks=(rank,),
                observation="<information>...</information>",
            )
        )
    if answered:
        action = Answer(text=f"By the brake [{gold}].", citations=(gold, "engine#99"), thought="enough")
        turns.append(Turn(step=len(turns) + 1, text="<answer>By the brake</answer>", action=action))
    return Outcome(
        question=question,
        turns=tuple(turns),
        stop_reason=StopReason.ANSWERED if answered else StopReason.MAX_TURNS,
        config=EpisodeConfig(),
        corpus_pages=500,
    )


RANKS: tuple[tuple[int | None, ...], ...] = ((1,), (7, 2), (250, None), (None,))
"""Of the four rollouts of every question."""


def write_trajectories(path: Path, questions: int) -> Path:
    """Four rollouts of each question; the third and fourth find nothing, the fourth does not answer."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(questions):
            question = question_of(number)
            for sample, ranks in enumerate(RANKS):
                outcome = outcome_of(question, ranks, answered=sample < 3)
                spent = (Generation(prompt_tokens=100, completion_tokens=20, seconds=0.5),) * len(
                    outcome.turns
                )
                trajectory = Trajectory(outcome=outcome, sample=sample, model="tiny", generations=spent)
                file.write(write_row(trajectory) + "\n")
    return path


def write_run(folder: Path, steps: int = 3, questions: int = 2) -> Path:
    """A run folder as the replay buffer leaves it: training at steps 1.., validation at 0 and the last."""
    config = RewardConfig()
    for step in range(steps + 1):
        for name in ("rollouts", "validation"):
            if (step == 0 and name == "rollouts") or (0 < step < steps and name == "validation"):
                continue
            rows = []
            for number in range(questions):
                for sample, ranks in enumerate(RANKS if name == "rollouts" else RANKS[:1]):
                    outcome = outcome_of(question_of(number), ranks)
                    reward, breakdown = compute_reward(outcome, config)
                    row = {"uid": f"u{step}-{number}", "sample": sample, "step": step, "reward": reward}
                    rows.append(row | {"breakdown": breakdown, "outcome": json.loads(to_json(outcome))})
            path = folder / name / f"{step}.trajectories.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


GENERATED = Generated(
    page_ids=("manuals/rotor#1", "engine#1"),
    text="By the brake [manuals/rotor#1].",
    citations=("manuals/rotor#1",),
    dropped_citations=("engine#99",),
    completion_tokens=9,
    seconds=0.5,
)


def results_of(folder: Path, name: str = "base", generated: Generated | None = None) -> Path:
    """Results of three questions beside their trajectories; ``generated`` is what a generator answered each time."""
    rows = write_trajectories(folder / f"{name}.trajectories.jsonl", 3)
    aggregate, questions = score([replace(one, generated=generated) for one in read_trajectories(rows)])
    results = Results(
        policy="model",
        model="tiny",
        samples=4,
        split="test",
        corpus_pages=500,
        fingerprints={},
        config={},
        paths={"trajectories": str(rows)},
        aggregate=aggregate,
        bootstrap=bootstrap_facts(),
        seconds=1.0,
        versions={},
        rows=questions,
    )
    write_results(folder / f"{name}.json", results)
    return folder / f"{name}.json"
