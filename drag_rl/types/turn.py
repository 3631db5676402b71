"""One assistant message and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from drag_rl.types.action import Action
from drag_rl.types.page import Hit
from drag_rl.types.rank import best_rank


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
    ``Question.gold_page_ids``: all pages of the corpus, or of the document in which the search stayed, or, where pages
    are not repeated, those of them that no earlier search had listed.
    None for a page that is not among them or shares no term with the query. Empty for other actions."""
    corpus_ranks: tuple[int | None, ...] | None = None
    """As ``gold_ranks``, but over all pages that are searched, listed before or not: how good the query is by itself.
    None in a record that is older than this field; ``Outcome.corpus_ranks`` reads both."""
    exact_to: int | None = None
    """Down to which rank ``gold_ranks`` are known: a gold page without a rank may be anywhere below. None: over all
    pages, so that the query cannot find a gold page without a rank."""
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
