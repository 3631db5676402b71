"""What a model wrote when it was asked for a text, token by token where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import fmean

from drag_rl.policies.server.completion import Choice, TokenLogProb
from drag_rl.policies.server.reply_text import assistant_text

_LOST_CHARS = 16
"""A token is looked for so many characters ahead: what is no whole character is not in the text as the token has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftToken:
    """A token of a draft."""

    begin: int
    """Where it begins in the draft's text, in characters."""
    end: int
    """Where it ends; where it begins for a token that is not in the text."""
    log_prob: float
    """Natural logarithm of its probability."""
    entropy: float
    """Of the model's choice in this place, in nats, at least; see :func:`least_entropy`."""

    @property
    def probability(self) -> float:
        """In [0, 1]."""
        return exp(min(0.0, self.log_prob))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text that a model wrote, without its thought."""

    text: str
    tokens: tuple[DraftToken, ...] = ()
    """Empty where they were not asked for."""
    ended: bool = True
    """Whether the model ended it itself; a limit cut it otherwise."""

    @classmethod
    def of(cls, choice: Choice) -> Draft:
        """The draft that a server's choice holds."""
        whole = assistant_text(choice, ())
        text = after_thought(whole)
        told = choice.logprobs.content if choice.logprobs else None
        return cls(
            text=text,
            tokens=_aligned(told or (), whole, skipped=len(whole) - len(text)),
            ended=choice.finish_reason != "length",
        )

    def within(self, begin: int, end: int) -> tuple[DraftToken, ...]:
        """The tokens that begin between two places of the text, or reach into them."""
        return tuple(
            token
            for token in self.tokens
            if token.begin < end and (token.end > begin or token.begin >= begin)
        )

    def mean_entropies(self, words: Sequence[tuple[int, int]]) -> list[float]:
        """Of each word, from where it begins to where it ends, the mean entropy of its tokens, in nats.

        The words stand in the order of the text; one without a token has 0.
        """
        means, first = [], 0
        for begin, end in words:
            while first < len(self.tokens) and self.tokens[first].end <= begin:
                first += 1
            last = first
            while last < len(self.tokens) and self.tokens[last].begin < end:
                last += 1
            entropies = [token.entropy for token in self.tokens[first:last]]
            means.append(fmean(entropies) if entropies else 0.0)
        return means


def after_thought(text: str) -> str:
    """A message without the thought at its beginning; empty if that is all there is.

    >>> after_thought("<think>Hm.</think> Yes."), after_thought("<think>Hm"), after_thought("No.")
    (' Yes.', '', 'No.')
    """
    before, closed, rest = text.rpartition("</think>")
    return rest if closed else "" if rest.lstrip().startswith("<think>") else before + rest


def least_entropy(log_probs: Sequence[float]) -> float:
    """A lower bound, in nats, of the entropy of a distribution of which only the likeliest outcomes are known.

    ``- sum of p log p`` over those, and for the mass ``r`` of the others ``- r log p_last``: none of them is likelier
    than the least likely that is known. ``p_last`` is the last but one here, since servers may put the outcome that was
    drawn, however unlikely, in the place of the last. It is exact where all are known.

    >>> from math import log
    >>> round(least_entropy([log(0.5), log(0.25), log(0.25)]), 4), round(least_entropy([log(0.5), log(0.25)]), 4)
    (1.0397, 0.8664)
    >>> least_entropy([])
    0.0
    """
    known = sorted(min(0.0, value) for value in log_probs if value > -1e4)
    if not known:
        return 0.0
    rest = max(0.0, 1.0 - sum(map(exp, known)))
    return -sum(exp(value) * value for value in known) - rest * known[:2][-1]


def _aligned(told: Sequence[TokenLogProb], text: str, skipped: int) -> tuple[DraftToken, ...]:
    """The tokens with their places in the text after its first ``skipped`` characters."""
    tokens, place = [], 0
    for token in told:
        found = text.find(token.token, place, place + len(token.token) + _LOST_CHARS) if token.token else -1
        begin = place if found < 0 else found
        end = begin if found < 0 else found + len(token.token)
        place = end
        if max(begin, end - 1) >= skipped and begin < len(text):
            tokens.append(
                DraftToken(
                    begin=max(0, begin - skipped),
                    end=end - skipped,
                    log_prob=token.logprob,
                    entropy=least_entropy([likely.logprob for likely in token.top_logprobs]),
                )
            )
    return tuple(tokens)
