"""One question from search to cited answer, told step by step: what ``drag ask`` and our servers show.

The episode is the one that ``drag collect`` and ``drag evaluate`` play; what comes after it is in ``handed_on``, which
``drag evaluate --generator`` uses too::

    async for step in asking(question, policy, retriever, config, generator):
        match step:
            case Wrote(): ...      # the policy's message: a search, an answer, or that it has enough
            case Searched(): ...   # the pages found
            case Ended(): ...      # the whole episode
            case Answered(): ...   # the pages handed on, and the answer, if there is one
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from drag_rl.episode import EpisodeConfig
from drag_rl.handoff.choosing import best_first
from drag_rl.handoff.generator import Generator
from drag_rl.handoff.reading import read_answer
from drag_rl.policies.base import Policy
from drag_rl.policies.play import Ended, Searched, Wrote, playing
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Generated, Outcome, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The end: an answer, or the pages alone."""

    by: Literal["generator", "searcher", "nobody"]
    """Who answered. Nobody does where there is no generator and the searcher gave no answer."""
    page_ids: tuple[str, ...]
    """The pages that the searcher hands on, best first; a generator is given as many as fit its budget."""
    answer: Generated | None
    """None where nobody answered."""


Step = Wrote | Searched | Ended | Answered


async def asking(
    question: Question,
    policy: Policy,
    retriever: Retriever,
    config: EpisodeConfig | None = None,
    generator: Generator | None = None,
) -> AsyncGenerator[Step, None]:
    """Play the episode, then have its pages answered; the last step is ``Answered``.

    Errors of policy, retriever and generator propagate: ServerDown, PolicyFailed (a failed request of either model),
    InputError.
    """
    async with aclosing(playing(question, policy, retriever, config)) as steps:
        async for step in steps:
            yield step
            if isinstance(step, Ended):
                yield await answered(step.outcome, generator)


async def answered(outcome: Outcome, generator: Generator | None) -> Answered:
    """What comes of an episode: the generator's answer, else the searcher's own, else its pages."""
    page_ids = best_first(outcome)
    if generator is not None:
        answer = await generator.answer(outcome.question, page_ids)
        return Answered(by="generator", page_ids=page_ids, answer=answer)
    own = own_answer(outcome)
    return Answered(by="searcher" if own else "nobody", page_ids=page_ids, answer=own)


def own_answer(outcome: Outcome) -> Generated | None:
    """The searcher's answer with its citations checked against the pages that it was shown.

    None if it gave none, or was to search only.
    """
    if outcome.answer is None or not outcome.answer_asked:
        return None
    shown = [page_id for page_id in best_first(outcome) if page_id in outcome.shown_page_ids]
    read = read_answer(outcome.answer.text, shown)
    return Generated(
        page_ids=tuple(shown),
        text=read.text,
        citations=read.citations,
        dropped_citations=read.dropped_citations,
        refused=read.refused,
    )
