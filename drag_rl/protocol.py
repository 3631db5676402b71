"""What an episode may do: formats, budgets and what an observation shows."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from drag_rl.config import Config

MAX_PIXELS = 451_584
"""Pixels of a page image that is shown, at most, unless told otherwise: 441 visual tokens of Qwen3-VL, of 32 x 32."""
MESSAGE_TOKENS = 512
"""Tokens of one assistant message, at most, unless told otherwise."""
MESSAGE_TIMEOUT_S = 600.0
"""Seconds that one assistant message may take, unless told otherwise."""
MESSAGE_END = "<|im_end|>"
"""The token that ends each message in the chat templates that we train with (ChatML: Qwen and its kin)."""
ActionFormat = Literal["xml", "tools"]
CombineMethod = Literal["rrf", "union", "intersection", "sum"]
"""How several rankings of pages become one: by their ranks, or by their scores."""
SearchScope = Literal["corpus", "document"]
"""Where an episode searches: all pages, or those of the document that its question is asked of."""
CLOSING_TAGS: dict[ActionFormat, tuple[str, ...]] = {
    "xml": ("</search>", "</answer>"),
    "tools": ("</tool_call>",),
}
CLOSING_ENOUGH: dict[ActionFormat, tuple[str, ...]] = {"xml": ("</enough>",), "tools": ()}
"""What else may end a message where the policy may say that it has enough."""


class EpisodeConfig(Config):
    """Options of a ``SearchEpisode``; the same values must be used to collect, train and evaluate."""

    action_format: ActionFormat = "xml"
    """How the policy acts: ``<search>``/``<answer>`` tags, or native (hermes) tool calls."""
    max_turns: int = Field(default=4, ge=1)
    """Budget of assistant turns, the answer included. With 1 the policy is asked for one query, no answer."""
    answer: bool = True
    """Ask for a final answer. False: every turn is a search, which is all that a retriever's training needs."""
    enough: bool = False
    """Whether the policy may end the episode by saying that it has enough, and which of the pages that it was shown
    matter: for a searcher that hands its pages over to another model, with ``answer=false``, or beside an answer. One
    turn is kept for it, as for an answer."""
    top_k: int = Field(default=3, ge=1)
    """Hits of a search, at most."""
    repeat_pages: bool = True
    """Whether a search may list pages that an earlier one has listed. False: it lists the best of the others, and ranks
    count among those, so that ``n`` searches show ``n * top_k`` different pages and the same query twice reads on."""
    scope: SearchScope = "corpus"
    """Where to search: all pages (``corpus``), or only those of the document that a question is asked of
    (``document``), for questions that name none ("according to the report"). Ranks count within it, and the policy is
    told. A question that is asked of no document searches all pages either way; results count those that do not."""
    expand_question: bool = False
    """Whether the question's own words are searched with the policy's, which then writes a query expansion (as in
    Query2doc, arXiv 2303.07678): what it adds or says again weighs more, and no word of the question can be lost."""
    observation: Literal["text", "image", "both"] = "text"
    """What is shown of a hit: a snippet of its text, the image of its page, or both."""
    snippet_chars: int = Field(default=300, ge=0)
    """Characters of page text shown of each hit, at most; 0 shows page ids only."""
    show_page_ids: bool = True
    """Whether a hit is shown with its page id, which citations need. A policy that only searches has no use for it, and
    a small one copies it into its next query (docs/experiments.md)."""
    on_malformed: Literal["end", "correct"] = "end"
    """A message that is no action ends the episode, or is answered by a correction (which costs a turn)."""
    max_query_chars: int = Field(default=200, ge=0)
    """A longer query is malformed, so that copying whole hits is no strategy; 0 means no limit."""
    queries_per_turn: int = Field(default=1, ge=1, le=16)
    """Queries of one search, at most: lines between the search tags, or a list in the tool call. What each finds is put
    together, and hits, ranks and rewards are those of the whole."""
    combine: CombineMethod = "rrf"
    """How the rankings of several queries become one: by ranks (``rrf``: reciprocal rank fusion), by the best score of
    a page (``union``), by the worst score of pages that all of them find (``intersection``), or by the sum."""
    think: bool = True
    """Ask for a ``<think>`` block before the action. It is accepted, and inert, either way."""
    citations: bool = True
    """Ask for ``[page_id]`` citations in the answer."""
    shots: int = Field(default=0, ge=0, le=3)
    """Worked examples shown before the question, for models that do not know the protocol; 0 means none."""
    system_prompt: str | None = None
    """Path of a Jinja2 template in place of the built-in system prompt, or ``brief``: a built-in one of few tokens, for
    models that know the protocol from their training. Null means the built-in one that explains it."""
    stop_at_action: bool = True
    """Offer ``stop_strings``. Turn it off for models that rehearse their action inside ``<think>``."""

    @model_validator(mode="after")
    def _citations_need_page_ids(self) -> Self:
        if self.citations and self.answer_asked and not self.show_page_ids:
            raise ValueError(
                "show_page_ids=false leaves nothing to cite: set citations=false or answer=false too"
            )
        return self

    @model_validator(mode="after")
    def _enough_needs_a_turn(self) -> Self:
        if self.enough and self.max_turns == 1:
            raise ValueError("enough=true needs a turn to say so: set max_turns=2 or more")
        return self

    @property
    def answer_asked(self) -> bool:
        """Whether the policy is asked for an answer."""
        return self.answer and self.max_turns > 1

    @property
    def search_only(self) -> bool:
        """Whether the policy is asked for searches and nothing else."""
        return self.max_turns == 1 or not (self.answer or self.enough)

    @property
    def search_turns(self) -> int:
        """Turns that are meant for searches."""
        return self.max_turns if self.search_only else self.max_turns - 1

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Strings at which a driver should stop generation; whether they stay in the text does not matter."""
        if not self.stop_at_action:
            return ()
        return CLOSING_TAGS[self.action_format] + (CLOSING_ENOUGH[self.action_format] if self.enough else ())
