"""Files of trajectories by question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.star.formats.conversation import QuestionGroup
from drag_rl.trajectories.stored import iter_places, read_at
from drag_rl.types import Question, Trajectory


@dataclass(slots=True)
class Catalogue:
    """Where the trajectories of each question lie.

    A question's trajectories are read together and questions come in the order of their ids, so what is made of them
    does not depend on the order in which a collector finished, and memory holds one question at a time.
    """

    config: EpisodeConfig
    alone: Sequence[str] = ()
    """The formats to write that take queries out of their episode."""
    questions: dict[str, Question] = field(default_factory=dict)
    kept: defaultdict[str, list[tuple[int, bool, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Question id -> (sample, hinted, number of the file, place in it)."""
    others: defaultdict[str, list[tuple[int, bool, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _rows: set[tuple[str, int, str, str, bool]] = field(default_factory=set)

    def read(self, path: Path, number: int) -> None:
        """Note the rows of a file: number 0 holds what is kept, others add what those before do not have."""
        for place, _, trajectory in iter_places(path):
            self._check(trajectory, path)
            question_id, hinted = trajectory.outcome.question.question_id, bool(trajectory.hint_page_ids)
            row = (question_id, trajectory.sample, trajectory.model, trajectory.sampling, hinted)
            if number and row in self._rows:
                continue
            self._rows.add(row)
            rows = self.others if number else self.kept
            rows[question_id].append((trajectory.sample, hinted, number, place))

    def groups(self, paths: Sequence[Path]) -> Iterator[QuestionGroup]:
        """Each question with its trajectories, in the order of question ids."""
        for question_id, question in sorted(self.questions.items()):
            kept, others = (
                tuple(
                    trajectory
                    for _sample, _hinted, number, place in sorted(rows.get(question_id, []))
                    for _, trajectory in read_at(paths[number], [place])
                )
                for rows in (self.kept, self.others)
            )
            yield QuestionGroup(question=question, kept=kept, others=others)

    def _check(self, trajectory: Trajectory, path: Path) -> None:
        outcome = trajectory.outcome
        where = f"{path}: {trajectory.trajectory_id}"
        for name in ("top_k", "max_turns"):
            made, said = getattr(outcome.config, name), getattr(self.config, name)
            if made != said:
                raise InputError(
                    f"{where} was collected with {name}={made}, not {said}; give --episode {name}={made}"
                )
        if self.config.enough and not (self.config.show_page_ids or outcome.config.enough):
            raise InputError(
                f"{where} was collected with show_page_ids=false and without enough=true, so that its hits are not "
                "numbered through and none can be named; collect again with enough=true"
            )
        if self.alone and any(outcome.corpus_ranks(turn) is None for turn in outcome.searches):
            raise InputError(
                f"{where} was collected with repeat_pages=false by an older version, which did not record where gold "
                f"ranks among all pages; collect again, or leave {', '.join(self.alone)} out of --formats"
            )
        known = self.questions.setdefault(outcome.question.question_id, outcome.question)
        if known != outcome.question:
            raise InputError(
                f"{where}: its question differs from another of the same id; make question ids unique"
            )
