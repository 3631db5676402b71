"""What rules have in common that have a model draft an answer after each search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import ClassVar

from drag_rl.citations import citations_in
from drag_rl.episode import neutralise
from drag_rl.episode.observation import shown_as
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.server.completion import TokenLogProb
from drag_rl.policies.server.reply_text import assistant_text
from drag_rl.policies.stopping.rule import StopRule

DRAFT_TOKENS = 32
"""Tokens of a draft answer, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftAnswer:
    """What the model would answer from the pages shown so far."""

    text: str
    margin: float
    """The mean over its tokens of the probability of the likeliest token less that of the next, in [0, 1]."""


class DraftingRule(StopRule):
    """A rule that reads the drafts of an answer, one after each search."""

    asks_model: ClassVar[bool] = True

    async def draft(self, state: EpisodeState) -> DraftAnswer:
        """The model's answer, in a few words and the likeliest ones, from all pages shown so far.

        Raises InputError for a server that tells no log-probabilities, and as ``ModelServer.complete`` does.
        """
        assert self.model is not None
        fields = {"logprobs": True, "top_logprobs": 2, "max_tokens": DRAFT_TOKENS, "temperature": 0.0}
        completion, use = await self.model.complete(
            [{"role": "user", "content": _prompt(state)}], fields=fields
        )
        self.uses.append(use)
        choice = completion.choices[0]
        told = choice.logprobs.content if choice.logprobs else None
        if told is None and choice.message.content:
            raise InputError(
                f"{self.model.server.settings.base_url}: tells no log-probabilities, which this rule needs; use a "
                "server that does, such as vLLM"
            )
        self._last = DraftAnswer(
            text=" ".join(assistant_text(choice, ()).rpartition("</think>")[2].split()),
            margin=margin(told or ()),
        )
        return self._last

    def answer(self, state: EpisodeState) -> str:
        """The last draft, with a citation of the last search's best page where it has none."""
        text, cited = neutralise(self._last.text), super().answer(state)
        return text if citations_in(text) else f"{text} {cited}".strip()


def margin(tokens: Sequence[TokenLogProb]) -> float:
    """The mean over tokens of ``P(likeliest) - P(next)``, in [0, 1]; 0 without tokens.

    >>> sure = TokenLogProb(logprob=0.0, top_logprobs=[{"token": "a", "logprob": 0.0}])
    >>> margin([sure]), margin([])
    (1.0, 0.0)
    """
    gaps = []
    for token in tokens:
        first, *others = sorted((min(0.0, each.logprob) for each in token.top_logprobs), reverse=True) or [
            min(0.0, token.logprob)
        ]
        gaps.append(exp(first) - (exp(others[0]) if others else 0.0))
    return sum(gaps) / len(gaps) if gaps else 0.0


def _prompt(state: EpisodeState) -> str:
    """What was shown of each page, and the question; tags in both are inert."""
    seen: dict[str, str] = {}
    for turn in state.turns:
        for page_id, text in zip(turn.shown_page_ids, turn.shown_texts, strict=False):
            seen.setdefault(page_id, text)
    lines = (f"[{shown_as(page_id)}] {neutralise(' '.join(text.split()))}" for page_id, text in seen.items())
    question = neutralise(" ".join(state.question.text.split()))
    return (
        "Pages:\n" + "\n".join(lines) + f"\n\nQuestion: {question}\nAnswer from these pages, in a few words."
    )
