"""``trajectories.jsonl``: the one place that knows its columns; a line holds a whole :class:`Trajectory`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from drag_rl.errors import InputError
from drag_rl.trajectories.checked import check_outcome
from drag_rl.types import Answer, Enough, Outcome, Search, Trajectory, Turn
from drag_rl.types.older import CONFIG_COLUMNS, config_of
from reward.rank import rank_score

_TRAJECTORY = TypeAdapter(Trajectory)


def trajectory_to_row(trajectory: Trajectory) -> dict[str, Any]:
    """The row: id, question, ground_truth, iterations, best_rank_score, gt_ever_found, and what rebuilds the rest."""
    outcome = trajectory.outcome
    question = outcome.question
    iterations = [_iteration(turn, outcome) for turn in outcome.turns]
    for iteration, generation in zip(iterations, trajectory.generations, strict=False):
        iteration["generation"] = asdict(generation)
    document, _, number = question.gold_page_ids[0].rpartition("#")
    return {
        "id": trajectory.trajectory_id,
        "question": question.text,
        "ground_truth": {
            "file": document,
            "page": int(number),
            "page_ids": list(question.gold_page_ids),
            "answers": list(question.answers),
            "grades": list(question.gold_grades),
        },
        "iterations": iterations,
        "best_rank_score": max((i["rank_score"] for i in iterations), default=0.0),
        "gt_ever_found": outcome.solved,
        "stop_reason": outcome.stop_reason.value,
        "question_id": question.question_id,
        "data_source": question.data_source,
        "question_images": list(question.images),
        "document": question.document,
        "sample": trajectory.sample,
        "model": trajectory.model,
        "sampling": trajectory.sampling,
        **{name: getattr(outcome.config, name) for name in CONFIG_COLUMNS},
        "corpus_pages": outcome.corpus_pages,
        "episode": outcome.config.model_dump(mode="json"),
        "error": trajectory.error,
        "hint_page_ids": list(trajectory.hint_page_ids),
    }


def trajectory_from_row(row: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a row. Raises KeyError or ValueError for a row that is no trajectory."""
    iterations, gold = row["iterations"], _each_once(row["ground_truth"]["page_ids"])
    turns, generations = [], []
    for iteration in iterations:
        turns.append(
            {
                "step": iteration["step"],
                "text": iteration["text"],
                "action": _action(iteration),
                "hits": iteration["results"],
                "gold_ranks": _of_places(iteration["gold_ranks"], gold),
                "corpus_ranks": iteration.get("corpus_ranks"),
                "exact_to": iteration.get("exact_to"),
                "observation": iteration["observation"],
                "image_page_ids": iteration["image_page_ids"],
                "shown": iteration.get("shown"),
            }
        )
        if "generation" in iteration:
            generations.append(iteration["generation"])
    question = {
        "question_id": row["question_id"],
        "text": row["question"],
        "gold_page_ids": list(gold),
        "answers": row["ground_truth"]["answers"],
        "data_source": row["data_source"],
        "images": row["question_images"],
        "gold_grades": row["ground_truth"].get("grades", ()),
        "document": row.get("document", ""),
    }
    outcome = {
        "question": question,
        "turns": turns,
        "stop_reason": row["stop_reason"],
        "config": config_of(row, "episode"),
        "corpus_pages": row["corpus_pages"],
    }
    rest = {name: row[name] for name in ("sample", "model", "sampling", "error", "hint_page_ids")}
    trajectory = _TRAJECTORY.validate_python({"outcome": outcome, "generations": generations, **rest})
    check_outcome(trajectory.outcome)
    return trajectory


def write_row(trajectory: Trajectory) -> str:
    """The trajectory as one line of JSON, without the line end."""
    return json.dumps(trajectory_to_row(trajectory), ensure_ascii=False)


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """The trajectories of a file, in order. Raises InputError naming the file and the line that is no trajectory."""
    for where, line in read_lines(path):
        yield parse_row(line, where)


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a JSONL file that hold something, each with the words that name it in an error."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", line
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def parse_row(line: str, where: str) -> Trajectory:
    """The trajectory of a line; raises InputError that begins with ``where`` for a line that is no trajectory."""
    with errors_named(where):
        return trajectory_from_row(json.loads(line))


@contextmanager
def errors_named(where: str, what: str = "trajectory of `drag collect`") -> Iterator[None]:
    """What goes wrong while a row is read becomes one line that begins with ``where``: it is no ``what``."""
    try:
        yield
    except json.JSONDecodeError:
        raise InputError(f"{where}: is no JSON object") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise InputError(f"{where}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no {what}: {error}") from None


def _each_once(page_ids: Sequence[str]) -> dict[str, int]:
    """Each gold page and its first place: in files of older versions a page could stand twice."""
    places: dict[str, int] = {}
    for place, page_id in enumerate(page_ids):
        places.setdefault(page_id, place)
    return places


def _of_places(ranks: Sequence[Any], gold: Mapping[str, int]) -> list[Any]:
    return [ranks[place] for place in gold.values()] if len(ranks) > len(gold) else list(ranks)


def _iteration(turn: Turn, outcome: Outcome) -> dict[str, Any]:
    rank = turn.gold_rank if outcome.finds(turn) else None
    action = turn.action
    iteration: dict[str, Any] = {
        "step": turn.step,
        "reasoning": action.thought,
        "action": action.kind,
        "query": action.query if isinstance(action, Search) else None,
        "results": [asdict(hit) for hit in turn.hits],
        "gt_found": rank is not None,
        "gt_rank": rank,
        "rank_score": rank_score(rank, outcome.config.top_k),
        "gold_ranks": list(turn.gold_ranks),
        "corpus_ranks": None if turn.corpus_ranks is None else list(turn.corpus_ranks),
        "exact_to": turn.exact_to,
        "text": turn.text,
        "observation": turn.observation,
        "image_page_ids": list(turn.image_page_ids),
        "shown": None if turn.shown is None else list(turn.shown),
    }
    if isinstance(action, Answer):
        iteration |= {"answer": action.text, "citations": list(action.citations)}
    elif isinstance(action, Enough):
        iteration |= {"pages": list(action.pages), "unknown_pages": list(action.unknown)}
    elif not isinstance(action, Search):
        iteration["reason"] = action.reason
    return iteration


def _action(iteration: Mapping[str, Any]) -> dict[str, Any]:
    kind = iteration["action"]
    action = {"kind": kind, "thought": iteration["reasoning"]}
    if kind == "search":
        return action | {"query": iteration["query"]}
    if kind == "answer":
        return action | {"text": iteration["answer"], "citations": iteration["citations"]}
    if kind == "enough":
        return action | {"pages": iteration["pages"], "unknown": iteration["unknown_pages"]}
    return action | {"reason": iteration["reason"]}
