"""FLARE: write on, and search for a sentence that holds an unlikely token before it is written again.

Source: Jiang et al. 2023, "Active Retrieval Augmented Generation" (arXiv 2305.06983), FLARE-direct, and its code.

The paper's: the question is searched first; the model drafts 64 tokens of the answer, of which the first sentence
counts. If a token of it has a probability of 0.8 or less, the sentence without its tokens of 0.4 or less is the query,
and the sentence is written again with what was found; else it stays as it is. It ends with the answer. Ours: no worked
examples, ``top_k`` pages a search in place of 2, no more searches than the episode allows (then the answer is written
to its end without), a sentence of unlikely tokens alone is searched as it is, and one that is written once more ends
the answer: small models go in circles. FlashRAG's FLARE, with one threshold of 0.2, is another method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.draft import Draft, DraftToken
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import last_pages, one_line, with_pages
from drag_rl.policies.prompted.sentences import sentence_spans
from drag_rl.policies.settings import PolicySettings


class FlareSettings(PolicySettings):
    """Settings of FLARE; the defaults are the paper's."""

    tunable: ClassVar[str] = "threshold"

    threshold: float = Field(default=0.8, ge=0, le=1)
    """A sentence with a token whose probability is not above it is searched for; 1 searches always."""
    mask: float = Field(default=0.4, ge=0, le=1)
    """Tokens whose probability is not above it are left out of the query."""
    draft_tokens: int = Field(default=64, ge=1)
    """Tokens that are drawn for a sentence, at most."""
    answer_tokens: int = Field(default=256, ge=1, le=4096)
    """Tokens of the whole answer, at most."""


@dataclass(kw_only=True)
class Flare(Prompted):
    """The question, then the sentences that the model is unsure of, without the words that it is unsure of."""

    settings_type: ClassVar[type[PolicySettings]] = FlareSettings
    settings: FlareSettings
    _written: list[str] = field(default_factory=list, init=False)
    _tokens: int = field(default=0, init=False)
    _rewrites: bool = field(default=False, init=False)

    async def query(self, state: EpisodeState) -> str | None:
        """The next sentence that the model is unsure of; None once the answer is written."""
        if not state.turns:
            return state.question.text
        while self._tokens < self.settings.answer_tokens:
            draft = await self._draft(state, self.settings.draft_tokens)
            spans = sentence_spans(draft.text)
            if not spans:
                return None
            begin, end = spans[0]
            tokens = draft.within(begin, end)
            unsure = any(token.probability <= self.settings.threshold for token in tokens)
            if unsure and not self._rewrites:
                self._rewrites = True  # whatever its probabilities are then
                return masked(draft.text, begin, end, tokens, self.settings.mask)
            self._rewrites = False
            sentence = one_line(draft.text[begin:end])
            if sentence in self._written:
                return None
            self._written.append(sentence)
            self._tokens += max(1, len(tokens))
            if draft.ended and len(spans) == 1:
                return None
        return None

    async def answer(self, state: EpisodeState) -> str:
        """What was written; what is missing of it when the searches are spent is written in one go."""
        left = self.settings.answer_tokens - self._tokens
        if left > 0 and not self._stopped:
            self._written.append((await self._draft(state, left)).text)
        return " ".join(self._written)

    async def _draft(self, state: EpisodeState, max_tokens: int) -> Draft:
        prompt = (
            f"{with_pages(state, last_pages(state))}\nAnswer the question in full sentences. Go on where the answer so "
            f"far ends, and do not repeat it.\nAnswer so far: {' '.join(self._written) or '(nothing)'}\nGo on:"
        )
        return await self.draft(prompt, max_tokens=max_tokens, top=1)


def masked(text: str, begin: int, end: int, tokens: tuple[DraftToken, ...], mask: float) -> str:
    """A sentence of a text without its tokens of a probability that is not above ``mask``; whole if nothing is left.

    >>> places = [(0, 3, 0), (3, 10, -3), (10, 16, 0)]
    >>> tokens = [DraftToken(begin=b, end=e, log_prob=p, entropy=0) for b, e, p in places]
    >>> masked("The Danube rises.", 0, 17, tuple(tokens), 0.4)
    'The rises.'
    """
    kept, place = "", begin
    for token in tokens:
        if token.probability <= mask and token.end > place:
            kept += text[place : max(place, token.begin)]
            place = min(token.end, end)
    kept += text[place:end]
    return one_line(kept) if any(sign.isalnum() for sign in kept) else one_line(text[begin:end])
