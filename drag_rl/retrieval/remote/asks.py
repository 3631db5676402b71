"""What a server is asked and what it found, as values that can be keys and lie in a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One query as a server gets it."""

    text: str
    """Without what JSON cannot carry."""
    top_k: int
    """How many hits are asked for, 1 or more."""
    track: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Sorted."""
    scope: str | None = None

    def key(self, index: str) -> str:
        """Under which an answer of an index, by its fingerprint, is kept."""
        return hashlib.sha256(json.dumps([index, *astuple(self)]).encode()).hexdigest()

    @property
    def weight(self) -> int:
        """How much of a request it takes: hits and page ids, and something for itself."""
        return 80 + self.top_k + len(self.track) + len(self.without)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server's answer to one query."""

    hits: tuple[tuple[str, float], ...]
    """Page id and score, best first."""
    ranks: tuple[int | None, ...] = ()
    """Of each tracked page."""
    exact_to: int | None = None

    def as_text(self) -> str:
        """For a cache."""
        return json.dumps(astuple(self))

    @classmethod
    def of_text(cls, text: str) -> Found:
        """What :meth:`as_text` wrote."""
        hits, ranks, exact_to = json.loads(text)
        return cls(
            hits=tuple((page_id, score) for page_id, score in hits), ranks=tuple(ranks), exact_to=exact_to
        )


def sendable(text: str) -> str:
    """A text without the halves of characters, which no server reads, and no page has.

    >>> sendable("\\ud800 save")
    '? save'
    """
    return text.encode("utf-8", "replace").decode()
