"""Passages that a model makes up to be searched: what Query2doc, HyDE and ThinkQE ask for."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.reading import with_pages
from drag_rl.retrieval.base import Retriever

PASSAGE_TOKENS = 128
"""Tokens of a passage, at most, unless told otherwise."""


def passage_prompt(state: EpisodeState) -> str:
    """Asks for a passage that answers the question, from memory."""
    return f"{with_pages(state, ())}\nWrite a short passage of a manual that answers the question."


def embeds(retriever: Retriever) -> bool:
    """Whether an index ranks by what texts mean: it has a model that embeds them."""
    return getattr(retriever, "embedder", None) is not None
