"""A question that was asked and answered, as JSON: what ``drag ask --json`` prints and our servers send along."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from drag_rl.handoff.asking import Answered, Step
from drag_rl.handoff.generator import Generator
from drag_rl.policies.play import Ended, Searched, Wrote
from drag_rl.types import Answer, Enough, Generation, Hit, Malformed, Search

Iteration = tuple[Wrote, Searched | None]
"""A message of the searcher, and the search that it led to, if it was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All steps of a question, once they are there."""

    iterations: tuple[Iteration, ...]
    ended: Ended
    answered: Answered


async def told_by(steps: AsyncIterator[Step], show: Callable[[Step], None] | None = None) -> Told:
    """Take the steps of a question as they come, and keep them; ``show`` is told each."""
    messages: list[Wrote] = []
    searches: dict[int, Searched] = {}
    ended: Ended | None = None
    answered: Answered | None = None
    async for step in steps:
        if show is not None:
            show(step)
        if isinstance(step, Wrote):
            messages.append(step)
        elif isinstance(step, Searched):
            searches[step.turn.step] = step
        elif isinstance(step, Ended):
            ended = step
        else:
            answered = step
    assert ended is not None and answered is not None
    iterations = tuple((wrote, searches.get(wrote.turn.step)) for wrote in messages)
    return Told(iterations=iterations, ended=ended, answered=answered)


def summary(told: Told, searcher: str, generator: Generator | None) -> dict[str, Any]:
    """The whole of it: question, iterations, pages, answer, and what each model took."""
    answered, outcome = told.answered, told.ended.outcome
    answer = answered.answer
    return {
        "question": outcome.question.text,
        "scope": outcome.scope,
        "answer": answer.text if answer else None,
        "answered_by": answered.by,
        "refused": answer.refused if answer else False,
        "citations": [place_of(page_id) for page_id in (answer.citations if answer else ())],
        "dropped_citations": list(answer.dropped_citations if answer else ()),
        "pages": list(answered.page_ids),
        "stop_reason": outcome.stop_reason.value,
        "iterations": [iteration_of(wrote, searched) for wrote, searched in told.iterations],
        "searcher": {"model": searcher, **_totals(told.ended.generations)},
        "generator": _of_generator(generator, answered),
    }


def iteration_of(wrote: Wrote, searched: Searched | None) -> dict[str, Any]:
    """One message: what it did, the hits of its search, and where the time went."""
    action, generation = wrote.turn.action, wrote.generation
    said: dict[str, Any] = {"action": action.kind, "thought": action.thought}
    if isinstance(action, Search):
        said["queries"] = list(action.queries)
    elif isinstance(action, Answer):
        said["text"] = action.text
    elif isinstance(action, Enough):
        said["pages"] = list(action.pages)
    elif isinstance(action, Malformed):
        said["reason"] = action.reason
    if searched is not None:
        said["hits"] = [hit_of(hit) for hit in searched.turn.hits]
    return said | {
        "message_s": generation.seconds,
        **({} if wrote.timing is None else asdict(wrote.timing)),
        "search_s": searched.search_s if searched else None,
        "snippets_s": searched.snippets_s if searched else None,
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
    }


def hit_of(hit: Hit) -> dict[str, Any]:
    """A hit, with its document and page."""
    return asdict(hit) | place_of(hit.page_id)


def place_of(page_id: str) -> dict[str, Any]:
    """A page's id taken apart.

    >>> place_of("manuals/pump#12")
    {'page_id': 'manuals/pump#12', 'document': 'manuals/pump', 'page': 12}
    """
    document, _, number = page_id.rpartition("#")
    return {"page_id": page_id, "document": document, "page": int(number) if number.isdecimal() else None}


def _of_generator(generator: Generator | None, answered: Answered) -> dict[str, Any] | None:
    """What the generator was given and took; None without one."""
    answer = answered.answer
    if generator is None or answer is None:
        return None
    return {
        "model": generator.options.model,
        "pages": list(answer.page_ids),
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "seconds": answer.seconds,
        "finish_reason": answer.finish_reason,
    }


def _totals(generations: Sequence[Generation]) -> dict[str, Any]:
    """Tokens over all messages, None where one does not tell, and seconds."""
    read = [generation.prompt_tokens for generation in generations]
    written = [generation.completion_tokens for generation in generations]
    return {
        "prompt_tokens": _sum(read),
        "completion_tokens": _sum(written),
        "seconds": sum(generation.seconds for generation in generations),
    }


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) and counts else None
