"""drag-rl: teach a vision-language model to search documents.

What a user may rely on can be imported from here (``docs/python.md``); each name is loaded when it is first asked for,
so that importing the package imports nothing else.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from drag_rl import interrupt

if TYPE_CHECKING:
    from drag_rl.episode import Message, Observation, SearchEpisode, SearchRequest
    from drag_rl.errors import InputError
    from drag_rl.policies.base import ContextFull, EpisodeState, Policy, PolicyFailed, Reply
    from drag_rl.policies.play import play
    from drag_rl.protocol import EpisodeConfig
    from drag_rl.retrieval.base import Query, Ranking, Retriever
    from drag_rl.retrieval.documents import index_documents, search
    from drag_rl.retrieval.open import open_retriever
    from drag_rl.retrieval.page_texts import PageTexts
    from drag_rl.types import (
        Action,
        Answer,
        Enough,
        Generation,
        Hit,
        Malformed,
        Outcome,
        Page,
        Question,
        Search,
        StopReason,
        Trajectory,
        Turn,
    )

__version__ = "0.1.0"

_HOMES = {
    "Action": "drag_rl.types",
    "Answer": "drag_rl.types",
    "ContextFull": "drag_rl.policies.base",
    "Enough": "drag_rl.types",
    "EpisodeConfig": "drag_rl.protocol",
    "EpisodeState": "drag_rl.policies.base",
    "Generation": "drag_rl.types",
    "Hit": "drag_rl.types",
    "InputError": "drag_rl.errors",
    "Malformed": "drag_rl.types",
    "Message": "drag_rl.episode",
    "Observation": "drag_rl.episode",
    "Outcome": "drag_rl.types",
    "Page": "drag_rl.types",
    "PageTexts": "drag_rl.retrieval.page_texts",
    "Policy": "drag_rl.policies.base",
    "PolicyFailed": "drag_rl.policies.base",
    "Query": "drag_rl.retrieval.base",
    "Question": "drag_rl.types",
    "Ranking": "drag_rl.retrieval.base",
    "Reply": "drag_rl.policies.base",
    "Retriever": "drag_rl.retrieval.base",
    "Search": "drag_rl.types",
    "SearchEpisode": "drag_rl.episode",
    "SearchRequest": "drag_rl.episode",
    "StopReason": "drag_rl.types",
    "Trajectory": "drag_rl.types",
    "Turn": "drag_rl.types",
    "index_documents": "drag_rl.retrieval.documents",
    "open_retriever": "drag_rl.retrieval.open",
    "play": "drag_rl.policies.play",
    "search": "drag_rl.retrieval.documents",
}
"""Public name -> the module that defines it."""

__all__ = [
    "Action",
    "Answer",
    "ContextFull",
    "Enough",
    "EpisodeConfig",
    "EpisodeState",
    "Generation",
    "Hit",
    "InputError",
    "Malformed",
    "Message",
    "Observation",
    "Outcome",
    "Page",
    "PageTexts",
    "Policy",
    "PolicyFailed",
    "Query",
    "Question",
    "Ranking",
    "Reply",
    "Retriever",
    "Search",
    "SearchEpisode",
    "SearchRequest",
    "StopReason",
    "Trajectory",
    "Turn",
    "__version__",
    "index_documents",
    "open_retriever",
    "play",
    "search",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


if interrupt.is_ours(sys.orig_argv):  # nobody else's process is touched
    interrupt.install()
