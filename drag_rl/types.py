"""The spine: what the layers hand to each other.

Every row is a frozen dataclass whose fields say their unit, base and range. Nothing here imports torch, ray or verl.
Words: a *question* is the user's, a *query* the policy's; a *hit* is a retrieved page; *gold* is what is right.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeGuard


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
    """Every page that answers, once; at least one."""
    answers: tuple[str, ...] = ()
    """Acceptable answers; empty when unknown."""
    data_source: str = "user"
    """What kind of question it is (``faq``, ``outline``, ``index``, ``user``): verl groups its metrics by it."""
    images: tuple[str, ...] = ()
    """Paths of image files that belong to the question."""

    def __post_init__(self) -> None:
        """Raises ValueError for a gold page that stands twice: every share of the gold pages would be wrong."""
        if len(set(self.gold_page_ids)) < len(self.gold_page_ids):
            twice = next(page for page in self.gold_page_ids if self.gold_page_ids.count(page) > 1)
            raise ValueError(f"question {self.question_id!r}: gold page {twice!r} stands twice; name it once")

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
    """For a search, the exact 1-based rank of each gold page among the pages that it could list, aligned with
    ``Question.gold_page_ids``: all pages or, where pages are not repeated, those that no earlier search had listed.
    None for a page that is not among them or shares no term with the query. Empty for other actions."""
    corpus_ranks: tuple[int | None, ...] | None = None
    """As ``gold_ranks``, but over the whole corpus: how good the query is by itself. None in a record that is older
    than this field; ``Outcome.corpus_ranks`` reads both."""
    observation: str = ""
    """The text that the policy was given back; empty when the episode ended on this turn."""
    image_page_ids: tuple[str, ...] = ()
    """Pages whose images were given back with the observation."""
    shown: tuple[str, ...] | None = None
    """What the policy could read of each hit, aligned with ``hits``: the page's text if its image was given back, else
    the snippet as far as it was shown. Empty when nothing was given back. None in a record that is older than this
    field; ``shown_texts`` reads both."""

    @property
    def gold_rank(self) -> int | None:
        """The best of ``gold_ranks``."""
        return best_rank(self.gold_ranks)

    @property
    def shown_page_ids(self) -> tuple[str, ...]:
        """The pages that the policy was shown; none when the episode ended on this turn, though it may have hits."""
        return tuple(hit.page_id for hit in self.hits) if self._given_back else ()

    @property
    def shown_texts(self) -> tuple[str, ...]:
        """What the policy could read of pages: ``shown``, or of an older record the snippets of what was given back."""
        if self.shown is not None:
            return self.shown
        return tuple(hit.snippet for hit in self.hits) if self._given_back else ()

    @property
    def _given_back(self) -> bool:
        return bool(self.observation or self.image_page_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished episode: all that a reward may read, and the core of a trajectory.

    What can be said of an episode is a property here, so that rewards, metrics and the viewer say the same.
    """

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
    """Whether a search could list pages that an earlier one had listed; if not, ``gold_ranks`` count the others."""
    expand_question: bool = False
    """Whether the question's words were searched with those of each query."""
    search_only: bool = False
    """Whether the policy was asked for searches and no answer; an episode of one turn is so in any case."""

    @property
    def searches(self) -> tuple[Turn, ...]:
        """The turns that searched, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn.action, Search))

    @property
    def answer(self) -> Answer | None:
        """The final answer, if the episode ended with one."""
        last = self.turns[-1].action if self.turns else None
        return last if isinstance(last, Answer) else None

    @property
    def answer_asked(self) -> bool:
        """Whether the policy was asked for an answer; if not, what measures answers does not apply."""
        return not self.search_only and self.max_turns > 1

    @property
    def best_gold_rank(self) -> int | None:
        """The best rank of a gold page over all searches; None if none was ever ranked."""
        return best_rank(tuple(turn.gold_rank for turn in self.turns))

    @property
    def first_find(self) -> Turn | None:
        """The first search that had a gold page in its top k, if one did."""
        return next((turn for turn in self.turns if self.finds(turn)), None)

    @property
    def solved(self) -> bool:
        """Whether some search had a gold page in its top k."""
        return self.first_find is not None

    @property
    def repeated(self) -> tuple[bool, ...]:
        """For each turn, whether it searches words that were searched before, and lists no page not listed before.

        With ``repeat_pages=false`` the same words read on in the ranking: such a search repeats nothing.
        """
        keys: set[tuple[str, ...]] = set()
        listed: set[str] = set()
        repeated = []
        for turn in self.turns:
            pages = {hit.page_id for hit in turn.hits}
            key = query_key(turn.action.query) if isinstance(turn.action, Search) else None
            repeated.append(key in keys and pages <= listed)
            if key is not None:
                keys.add(key)
            listed |= pages
        return tuple(repeated)

    def finds(self, turn: Turn) -> bool:
        """Whether a turn's search had a gold page in its top k."""
        return within(turn.gold_rank, self.top_k)

    def corpus_ranks(self, turn: Turn) -> tuple[int | None, ...] | None:
        """The exact rank over the whole corpus of each gold page in a turn's search.

        None where the record is too old to say: pages were not repeated, and earlier searches had listed some.
        """
        if turn.corpus_ranks is not None:
            return turn.corpus_ranks
        earlier = self.turns[: turn.step - 1]
        left_out = not self.repeat_pages and any(other.hits for other in earlier)
        return None if left_out else turn.gold_ranks


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


def within(rank: int | None, cutoff: int) -> TypeGuard[int]:
    """Whether a page of this rank is among the first ``cutoff``; None is no rank.

    >>> within(3, 3), within(4, 3), within(None, 3)
    (True, False, False)
    """
    return rank is not None and rank <= cutoff


def query_key(query: str) -> tuple[str, ...]:
    """What two queries have in common that find the same pages: their words, in any order and case, and
    however their accents are typed.

    >>> query_key("merge Data frames") == query_key("data  frames merge")
    True
    """
    return tuple(sorted(unicodedata.normalize("NFC", query.casefold()).split()))
