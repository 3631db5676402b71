"""``drag evaluate --generator``: have a generator answer from what each episode found, or from a control's pages.

What search is worth is the difference to the controls: the generator alone (``none``), with the pages that the raw
question finds (``raw``), and with the gold pages (``gold``), which no search can beat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from drag_rl.errors import InputError
from drag_rl.handoff.answer_file import AnswerFile, AnswerRow
from drag_rl.handoff.choosing import best_first
from drag_rl.handoff.options import GeneratorOptions
from drag_rl.policies.base import PolicyFailed
from drag_rl.policies.server.completion import one_line
from drag_rl.policies.work import work_through
from drag_rl.retrieval.base import Query, Retriever
from drag_rl.types import Generated, Outcome, Trajectory

if TYPE_CHECKING:
    from drag_rl.handoff.generator import Generator

PagesFrom = Literal["searched", "raw", "gold", "none"]
"""Where the generator's pages come from."""
CONTROLS = {
    "searched": "those that the episode hands on",
    "raw": "as many as its budget of searches may show, from one search of the question",
    "gold": "the gold pages, best grade first",
    "none": "none: what the generator knows by itself",
}
HOPELESS_ANSWERS = 20
"""When this many answers have been asked for and every one of them failed, the run stops."""
assert tuple(CONTROLS) == get_args(PagesFrom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Which generator answers, from which pages."""

    options: GeneratorOptions
    pages_from: PagesFrom = "searched"

    def settings(self) -> dict[str, Any]:
        """What shapes the answers, as JSON values."""
        return {**self.options.settings(), "pages": self.pages_from}

    def run(
        self,
        trajectories: Sequence[Trajectory],
        retriever: Retriever,
        file: AnswerFile,
        concurrency: int,
        ended: Callable[[int], None],
    ) -> None:
        """Ask for the answers that ``file`` lacks, so many at a time; ``ended`` is told how many are there.

        An answer that fails is a row with an error, as is that of a failed episode. Raises ServerDown when the server
        is gone, InputError when the first 20 answers all fail; what was answered is kept.
        """
        todo = [each for each in trajectories if _key(each) not in file.done]
        asyncio.run(self._run(todo, retriever, file, concurrency, ended))

    async def _run(
        self,
        todo: Sequence[Trajectory],
        retriever: Retriever,
        file: AnswerFile,
        concurrency: int,
        ended: Callable[[int], None],
    ) -> None:
        done = asked = failed = 0
        from drag_rl.handoff.generator import Generator  # its client takes as long to load as all else

        generator = Generator(self.options, retriever.pages)

        async def answer(trajectory: Trajectory) -> None:
            nonlocal done, asked, failed
            if trajectory.error and self.pages_from == "searched":
                generated = Generated(error=f"the episode failed: {trajectory.error}")
            else:
                generated = await self._answer(trajectory.outcome, retriever, generator)
                asked, failed = asked + 1, failed + bool(generated.error)
            question_id, sample = _key(trajectory)
            file.append(AnswerRow(question_id=question_id, sample=sample, generated=generated))
            done += 1
            ended(done)
            if failed == asked == HOPELESS_ANSWERS:
                raise InputError(
                    f"the first {asked} answers all failed, the last one with: {generated.error}; mend that, then "
                    "run again with --retry-errors"
                )

        try:
            await work_through(todo, answer, concurrency)
        finally:
            await generator.close()

    async def _answer(self, outcome: Outcome, retriever: Retriever, generator: Generator) -> Generated:
        page_ids = await self._pages(outcome, retriever)
        try:
            return await generator.answer(outcome.question, page_ids)
        except PolicyFailed as failure:
            return Generated(error=one_line(str(failure)))

    async def _pages(self, outcome: Outcome, retriever: Retriever) -> Sequence[str] | None:
        question = outcome.question
        if self.pages_from == "searched":
            return best_first(outcome)
        if self.pages_from == "raw":
            top_k = outcome.config.search_turns * outcome.config.top_k
            [ranking] = await retriever.search([Query(text=question.text, scope=outcome.scope)], top_k)
            return [hit.page_id for hit in ranking.hits]
        if self.pages_from == "gold":
            graded = sorted(
                zip(question.grades, question.gold_page_ids, strict=True), key=lambda one: -one[0]
            )
            return [page_id for _, page_id in graded]
        return None


def with_answers(trajectories: Sequence[Trajectory], path: Path) -> list[Trajectory]:
    """The trajectories, each with its answer of a file; one without an answer counts as one that failed."""
    answers = {AnswerFile.key(row): row.generated for row in AnswerFile.rows(path)}
    missing = Generated(error="there is no answer")
    return [replace(each, generated=answers.get(_key(each), missing)) for each in trajectories]


def _key(trajectory: Trajectory) -> tuple[str, int]:
    return trajectory.outcome.question.question_id, trajectory.sample
