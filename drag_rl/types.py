"""The spine: what the layers hand to each other.

Every row is a frozen dataclass whose fields say their unit, base and range. Nothing here imports torch, ray or verl.
Words: a *question* is the user's, a *query* the policy's; a *hit* is a retrieved page; *gold* is what is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a corpus; a page that could not be read is a row with its reason, never a silent skip."""

    page_id: str
    """``"<doc_id>#<page_number>"``."""
    doc_id: str
    """Path of the document below the PDF folder, without ``.pdf`` or ``.pdf.gz``; unique in a corpus."""
    page_number: int
    """1-based position in the file."""
    label: str
    """The printed page label (``"xii"``, ``"42"``), empty if the file has none."""
    text: str
    """Reading-order text; empty if the page has none."""
    width_pt: float
    """Page width in points (1/72 inch); 0 when unknown."""
    height_pt: float
    """Page height in points (1/72 inch); 0 when unknown."""
    source_file: str
    """Path of the source below the PDF folder, suffix included; empty when the page came from an OCR file."""
    source_sha256: str
    """Hex SHA-256 of the source file's bytes."""
    text_source: Literal["pdf", "ocr", "none"]
    """Where the text came from: the PDF's text layer, OCR, or nowhere."""
    status: Literal["ok", "failed"]
    """``failed`` pages are kept as rows, and are neither indexed nor shown."""
    reason: str
    """Why the page failed or has no text; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A user's question with its gold pages."""

    question_id: str
    """Unique within a question set."""
    text: str
    gold_page_ids: tuple[str, ...]
    """Every page that answers; at least one."""
    answers: tuple[str, ...] = ()
    """Acceptable answers; empty when unknown."""
    data_source: str = "user"
    """What kind of question it is (``faq``, ``outline``, ``index``, ``user``): verl groups its metrics by it."""
    images: tuple[str, ...] = ()
    """Paths of image files that belong to the question."""

    def searched(self, query: str, *, expand: bool) -> str:
        """What a query of the policy searches: its words, or, when it only expands the question, those of both."""
        return f"{self.text} {query}" if expand else query


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One retrieved page."""

    page_id: str
    rank: int
    """1-based; 1 is the best."""
    score: float
    """BM25 score, higher is better; comparable only within one query."""
    snippet: str = ""
    """The part of the page's text that fits the query best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The policy asks for pages."""

    query: str
    thought: str = ""
    """What the policy wrote in ``<think>``."""
    kind: Literal["search"] = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The policy ends the episode with an answer."""

    text: str
    citations: tuple[str, ...] = ()
    """Cited page ids, in order, without repeats; not checked against what was shown."""
    thought: str = ""
    kind: Literal["answer"] = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """The policy wrote something that is no action."""

    reason: str
    thought: str = ""
    kind: Literal["malformed"] = "malformed"


Action = Search | Answer | Malformed


class StopReason(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    MAX_TURNS = "max_turns"
    """The turn budget was spent without an answer."""
    MALFORMED = "malformed"
    """The policy's output was no action, and the configuration says that this ends the episode."""
    LENGTH = "length"
    """A token budget was spent: the last message is incomplete or the next observation would not fit."""
    ERROR = "error"
    """The server or the engine failed; only a collector records this, training stops instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One assistant message and what came of it."""

    step: int
    """1-based."""
    text: str
    """The assistant's message, verbatim, without the end-of-message token."""
    action: Action
    hits: tuple[Hit, ...] = ()
    """The pages shown for a search, best first; empty for other actions."""
    gold_ranks: tuple[int | None, ...] = ()
    """For a search, the exact 1-based rank over the whole corpus of each gold page, aligned with
    ``Question.gold_page_ids``; None for a page that shares no term with the query. Empty for other actions."""
    observation: str = ""
    """The text that the policy was given back; empty when the episode ended on this turn."""
    image_page_ids: tuple[str, ...] = ()
    """Pages whose images were given back with the observation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished episode: all that a reward may read, and the core of a trajectory."""

    question: Question
    turns: tuple[Turn, ...]
    stop_reason: StopReason
    top_k: int
    """How many hits a search returned at most."""
    max_turns: int
    """The budget of assistant turns."""
    corpus_pages: int
    """How many pages were searched; the worst rank that a page can have."""
    repeat_pages: bool = True
    """Whether a search could list pages that an earlier one had listed; if not, ranks count among the others."""
    expand_question: bool = False
    """Whether the question's words were searched with those of each query."""

    @property
    def searches(self) -> tuple[Turn, ...]:
        """The turns that searched, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn.action, Search))

    @property
    def answer(self) -> Answer | None:
        """The final answer, if the episode ended with one."""
        last = self.turns[-1].action if self.turns else None
        return last if isinstance(last, Answer) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What one assistant message took."""

    prompt_tokens: int | None = None
    """Tokens that the policy read; None when it does not tell, as controls that are no model."""
    completion_tokens: int | None = None
    """Tokens that the policy wrote; None when it does not tell."""
    seconds: float = 0.0
    """Wall time of the message."""
    finish_reason: str = "stop"
    """``stop``, or ``length`` for a message cut by a token limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """A finished episode and how it was made: one per (question, sample)."""

    outcome: Outcome
    sample: int = 0
    """0-based number among the rollouts of the question."""
    model: str = ""
    """The model's name at its server, or the control policy's name."""
    sampling: str = ""
    """Name of the sampling configuration."""
    generations: tuple[Generation, ...] = ()
    """Aligned with ``outcome.turns``."""
    error: str = ""
    """What failed, for ``StopReason.ERROR``."""
    hint_page_ids: tuple[str, ...] = ()
    """Gold pages that the policy was shown beforehand (rationalisation); empty for an honest rollout."""

    @property
    def trajectory_id(self) -> str:
        """Unique within a question set and model: ``traj_<question id>_<sample>``."""
        return f"traj_{self.outcome.question.question_id}_{self.sample}"


def best_rank(ranks: tuple[int | None, ...]) -> int | None:
    """The best (smallest) of some ranks; None if there is none.

    >>> best_rank((None, 4, 2)), best_rank((None,)), best_rank(())
    (2, None, None)
    """
    return min((rank for rank in ranks if rank is not None), default=None)
