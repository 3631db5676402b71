"""Which of very many answers stand in a text: the field's test of a passage, for all questions at once.

A passage holds an answer if the answer's words stand in it one after the other, both normalised as in SQuAD (lower
case, without punctuation and articles); so do DPR (Karpukhin et al. 2020, arXiv 2004.04906) and those after it decide
which passages are right.
"""

from __future__ import annotations

from collections.abc import Iterable

from drag_rl.metrics.answers import normalise

MAX_WORDS = 20
"""Longer answers are not looked for."""
UNTELLING = frozenset({"yes", "no", "true", "false", "unknown", "none"})
"""Answers, normalised, that stand on many pages without answering anything."""


class AnswerIndex:
    """The answers of questions, by their words; finding them takes time linear in the text."""

    def __init__(self) -> None:
        self._owners: dict[str, list[int]] = {}
        self._lengths: dict[str, set[int]] = {}

    def add(self, number: int, answers: Iterable[str]) -> bool:
        """Remember the answers of question ``number``; returns whether any of them can be looked for."""
        told = {normalise(answer) for answer in answers} - UNTELLING
        usable = [text for text in told if _tells(text)]
        for text in usable:
            words = text.split()
            self._owners.setdefault(text, []).append(number)
            self._lengths.setdefault(words[0], set()).add(len(words))
        return bool(usable)

    def found_in(self, text: str) -> set[int]:
        """The numbers of the questions one of whose answers stands in a text.

        >>> index = AnswerIndex()
        >>> index.add(0, ["The Beatles"]), index.add(1, ["beat", "1969"]), index.add(2, ["yes", "?"])
        (True, True, False)
        >>> index.found_in("Let It Be, by the Beatles, in 1969; yes.")
        {0, 1}
        """
        return {number for answer in self.answers_in(text) for number in self._owners[answer]}

    def answers_in(self, text: str) -> set[str]:
        """The answers that stand in a text, normalised."""
        words = normalise(text).split()
        found: set[str] = set()
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                answer = " ".join(words[start : start + length])
                if answer in self._owners:
                    found.add(answer)
        return found

    def forget(self, answers: Iterable[str]) -> None:
        """Look for these no longer; they are normalised."""
        for answer in answers:
            self._owners.pop(answer, None)


def _tells(text: str) -> bool:
    return any(sign.isalnum() for sign in text) and text.count(" ") < MAX_WORDS
