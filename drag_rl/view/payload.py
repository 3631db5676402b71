"""The report's data as one JSON value, and as text that is safe inside a page."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from drag_rl.types import Answer, Enough, Generated, Generation, Malformed, Question, Search, Trajectory, Turn
from drag_rl.view.curves import Panel
from drag_rl.view.heat import Heat, Match, queries_of
from drag_rl.view.rollout import Rollout, advantages
from drag_rl.view.thumbnails import Thumbnail


class _Table:
    """Values by number, each kept once."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def __getitem__(self, value: Any) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[Any]:
        return list(self._numbers)


def payload(
    rollouts: Sequence[Rollout],
    panels: Sequence[Panel] = (),
    thumbnails: Mapping[str, Thumbnail] | None = None,
    notes: Sequence[str] = (),
    heat: Mapping[Match, Heat] | None = None,
) -> dict[str, Any]:
    """What ``assets/*.js`` draw: pages, questions and groups are tables; rollouts refer to them by number.

    Heat maps are numbered in the order of ``heat``; their cells are no part of it, see :mod:`drag_rl.view.report`.
    """
    pages, questions, groups = _Table(), _Table(), _Table()
    by_group: dict[str, list[int]] = defaultdict(list)
    for number, rollout in enumerate(rollouts):
        by_group[rollout.group].append(number)
    gains: dict[int, float | None] = {}
    for members in by_group.values():
        values = advantages([rollouts[number].value for number in members])
        gains.update(zip(members, values, strict=True))
    heat = heat or {}
    numbers = {match: number for number, match in enumerate(heat)}
    rows = [
        _rollout(rollout, pages, questions, groups, numbers) | {"advantage": _number(gains[number])}
        for number, rollout in enumerate(rollouts)
    ]
    asked = [_question(question, pages) for question in questions.values]
    return {
        "rollouts": rows,
        "questions": asked,
        "groups": len(groups.values),
        "pages": pages.values,
        "pictures": {
            pages[page_id]: [picture.width, picture.height] for page_id, picture in (thumbnails or {}).items()
        },
        "heat": [[one.rows, one.columns, list(one.words)] for one in heat.values()],
        "panels": [_panel(panel) for panel in panels],
        "notes": list(notes),
    }


def to_script_text(value: Any) -> str:
    r"""JSON that no HTML parser can take for markup, and that JavaScript reads back to the same value.

    >>> to_script_text({"a": "</script><!--&\u2028"})
    '{"a":"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _rollout(
    rollout: Rollout, pages: _Table, questions: _Table, groups: _Table, heat: Mapping[Match, int]
) -> dict[str, Any]:
    trajectory = rollout.trajectory
    outcome = trajectory.outcome
    return {
        "id": trajectory.trajectory_id,
        "question": questions[outcome.question],
        "group": groups[rollout.group],
        "source": rollout.source,
        "step": rollout.step,
        "sample": trajectory.sample,
        "model": trajectory.model,
        "sampling": trajectory.sampling,
        "trained": rollout.reward is not None,
        "value": _number(rollout.value),
        "rank": rollout.best_rank,
        "found": rollout.found,
        "stop": outcome.stop_reason.value,
        "ends": list(rollout.ends),
        "top_k": outcome.config.top_k,
        "max_turns": outcome.config.max_turns,
        "answer_asked": outcome.answer_asked,
        "corpus_pages": outcome.corpus_pages,
        "scope": outcome.scope,
        "error": trajectory.error,
        "hints": [pages[page_id] for page_id in trajectory.hint_page_ids],
        "scores": {name: _number(value) for name, value in rollout.applicable_scores.items()},
        "turns": list(_turns(trajectory, pages, heat)),
        **(
            {"generated": _generated(trajectory.generated, outcome.question, pages)}
            if trajectory.generated
            else {}
        ),
    }


def _generated(generated: Generated, question: Question, pages: _Table) -> dict[str, Any]:
    gold, given = set(question.gold_page_ids), set(generated.page_ids)
    cited = (*generated.citations, *generated.dropped_citations)
    return {
        "text": generated.text,
        "given": [pages[page_id] for page_id in generated.page_ids],
        "citations": [[pages[page_id], page_id in gold, page_id in given] for page_id in cited],
        "refused": generated.refused,
        "error": generated.error,
        "prompt_tokens": generated.prompt_tokens,
        "completion_tokens": generated.completion_tokens,
        "seconds": _number(generated.seconds),
        "cut": generated.finish_reason == "length",
    }


def _question(question: Question, pages: _Table) -> dict[str, Any]:
    return {
        "id": question.question_id,
        "text": question.text,
        "gold": [pages[page_id] for page_id in question.gold_page_ids],
        "answers": list(question.answers),
        "data_source": question.data_source,
        "images": list(question.images),
    }


def _turns(trajectory: Trajectory, pages: _Table, heat: Mapping[Match, int]) -> Iterator[dict[str, Any]]:
    outcome = trajectory.outcome
    gold, shown = set(outcome.question.gold_page_ids), outcome.shown_page_ids
    listed: set[str] = set()
    told = zip_longest(outcome.turns, outcome.repeated, trajectory.generations[: len(outcome.turns)])
    for turn, repeated, generation in told:
        row = _turn(turn, pages) | {
            "repeat": repeated,
            "ranked_pages": outcome.corpus_pages - (0 if outcome.config.repeat_pages else len(listed)),
        }
        if heat and isinstance(turn.action, Search):
            searched = [(hit.page_id, (queries_of(outcome, turn.action), hit.page_id)) for hit in turn.hits]
            row["heat"] = {pages[page_id]: heat[match] for page_id, match in searched if match in heat}
        if isinstance(turn.action, Answer):
            row["citations"] = [[pages[page], page in gold, page in shown] for page in turn.action.citations]
        elif isinstance(turn.action, Enough):
            named = [*turn.action.pages, *turn.action.unknown]
            row["citations"] = [[pages[page], page in gold, page in shown] for page in named]
        if generation is not None:
            row["generation"] = _generation(generation)
        listed.update(hit.page_id for hit in turn.hits)
        yield row


def _turn(turn: Turn, pages: _Table) -> dict[str, Any]:
    action = turn.action
    row: dict[str, Any] = {
        "step": turn.step,
        "kind": action.kind,
        "thought": action.thought,
        "text": turn.text,
        "observation": turn.observation,
        "hits": [[pages[hit.page_id], hit.rank, _number(hit.score), hit.snippet] for hit in turn.hits],
        "gold_ranks": list(turn.gold_ranks),
        "images": [pages[page_id] for page_id in turn.image_page_ids],
    }
    if isinstance(action, Search):
        row["query"] = action.query
    elif isinstance(action, Answer):
        row["answer"] = action.text
    elif isinstance(action, Malformed):
        row["reason"] = action.reason
    return row


def _generation(generation: Generation) -> dict[str, Any]:
    return {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
        "seconds": _number(generation.seconds),
        "cut": generation.finish_reason == "length",
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "about": panel.about,
        "share": panel.share,
        "series": {label: [list(point) for point in points] for label, points in panel.series.items()},
    }


def _number(value: float | None) -> float | None:
    """Short, and None where JSON has no word for it."""
    return round(value, 6) if value is not None and math.isfinite(value) else None
