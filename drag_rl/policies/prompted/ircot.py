"""IRCoT: a chain of thought, each sentence of which is the next query.

Source: Trivedi et al. 2023, "Interleaving Retrieval with Chain-of-Thought Reasoning" (arXiv 2212.10509), and its code.

The paper's: the question is searched first; then, again and again, the model writes one sentence of its chain of
thought over all paragraphs collected so far (15 at most), and that sentence is the next query; it stops at a sentence
with "answer is", or after 10; a reader then answers once from the paragraphs. Ours: no worked examples, ``top_k`` pages
a search in place of 6, no more searches than the episode allows, and it stops, too, when the model writes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import one_line, pages_of, with_pages
from drag_rl.policies.prompted.sentences import first_sentence
from drag_rl.policies.settings import PolicySettings

_ANSWER = re.compile(r"answer is:?\s", re.IGNORECASE)


class IrcotSettings(PolicySettings):
    """Settings of IRCoT; the defaults are the paper's."""

    sentences: int = Field(default=10, ge=1, le=100)
    """Sentences of the chain of thought, at most."""
    pages: int = Field(default=15, ge=1, le=100)
    """Pages that the model reads at once, at most: those found first."""
    sentence_tokens: int = Field(default=64, ge=1)
    """Tokens that are drawn for a sentence, at most."""


@dataclass(kw_only=True)
class Ircot(Prompted):
    """The question, then each sentence of a chain of thought over all pages found."""

    settings_type: ClassVar[type[PolicySettings]] = IrcotSettings
    settings: IrcotSettings
    _thoughts: list[str] = field(default_factory=list, init=False)

    async def query(self, state: EpisodeState) -> str | None:
        """The next sentence; None once one gives the answer, the last that is allowed, or one that is empty."""
        if not state.turns:
            return state.question.text
        prompt = (
            f"{with_pages(state, pages_of(state, self.settings.pages))}\n"
            "Reason step by step from these pages, one short sentence at a time. Once you know the answer, write "
            f'"So the answer is: ...".\nReasoning so far: {" ".join(self._thoughts) or "(none)"}\nNext sentence:'
        )
        draft = await self.draft(prompt, max_tokens=self.settings.sentence_tokens)
        sentence = one_line(first_sentence(draft.text))
        if not sentence:
            return None
        self._thoughts.append(sentence)
        ended = len(self._thoughts) >= self.settings.sentences or _ANSWER.search(f"{sentence} ")
        return None if ended else sentence

    async def answer(self, state: EpisodeState) -> str:
        """What a reader answers from the pages."""
        return await self.read_answer(state, pages_of(state, self.settings.pages))
