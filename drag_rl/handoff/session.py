"""A searcher over an index, with or without a generator, opened once for many questions."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.handoff.asking import Step, asking
from drag_rl.handoff.generator import Generator
from drag_rl.handoff.options import SessionOptions
from drag_rl.policies.source import Policies
from drag_rl.retrieval import open_retriever
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Open models and an open index; any number of questions may be asked at once, in one event loop."""

    retriever: Retriever
    episode: EpisodeConfig
    """What the searcher plays under."""
    searcher: str
    """What rows call the searcher."""
    generator: Generator | None
    _policies: Policies

    def ask(self, question: Question) -> AsyncGenerator[Step, None]:
        """The steps from a question to its answer; see :mod:`drag_rl.handoff.asking` for them, and what they raise.

        A question that is asked of a document is searched for in that document only.
        """
        policy = self._policies.new(question, 0)
        own = {"scope": "document"} if question.document else {}
        episode = self.episode.model_copy(update=own)
        return asking(question, policy, self.retriever, episode, self.generator)

    async def close(self) -> None:
        """Close the connections, in the event loop in which questions were asked."""
        await self._policies.close()
        if self.generator is not None:
            await self.generator.close()


@contextmanager
def open_session(options: SessionOptions, log: Path) -> Iterator[Session]:
    """Open all that answers questions; a vLLM of our own logs to ``log``, and ends with the session.

    Raises InputError for what cannot be opened.
    """
    source = options.source()
    retriever = open_retriever(options.index, options.policy.pages)
    generator = Generator(options.generator, retriever.pages) if options.generator else None
    with source.open(retriever, log) as policies:
        yield Session(
            retriever=retriever,
            episode=source.episode(options.episode),
            searcher=source.model,
            generator=generator,
            _policies=policies,
        )


def asked_question(text: str, document: str = "") -> Question:
    """A question of somebody who asks, of which no gold page is known. Raises InputError for an empty one.

    ``document`` is the id of the one that it is asked of, empty for the whole corpus. The question's id is a digest of
    its text, so that the same question is drawn with the same seeds.
    """
    text = text.strip()
    if not text:
        raise InputError("the question is empty")
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return Question(question_id=f"asked-{digest}", text=text, gold_page_ids=(), document=document)
