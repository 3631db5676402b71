"""One retriever for all rollout workers of a node, where it holds a model: loaded once, and asked in batches.

verl plays rollouts in several processes on each node. An index that is only read is opened by each of them, mapped into
memory that they share; a model is not shared so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from drag_rl.retrieval import PageTexts, Query, Ranking, Retriever, open_retriever
from drag_rl.retrieval.open import holds_model
from drag_rl.retrieval.parts import pages_of

log = logging.getLogger(__name__)

ASKED_AT_ONCE = 1024
"""Searches that wait in the actor, at most; those beyond wait where they are asked."""


class NodeRetriever:
    """A retriever whose searches run in a Ray actor of this node; the texts of its pages are read here."""

    def __init__(self, index: Path) -> None:
        """Raises ``InputError`` as ``open_retriever`` does."""
        self.pages: PageTexts = pages_of(index)
        node = ray.get_runtime_context().get_node_id()
        self._actor = _Host.options(  # type: ignore[attr-defined]
            name=f"drag-retriever:{index.resolve()}:{node}",
            get_if_exists=True,
            num_cpus=0,
            max_concurrency=ASKED_AT_ONCE,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        ).remote(str(index))
        self.fingerprint: str = ray.get(self._actor.fingerprint.remote())

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`."""
        rankings: list[Ranking] = await self._actor.search.remote(list(queries), top_k)
        return rankings


@ray.remote
class _Host:
    """The actor: an open retriever."""

    def __init__(self, index: str) -> None:
        self._retriever = open_retriever(index)
        log.warning("%s: open for all rollouts of this node", index)

    async def fingerprint(self) -> str:
        return self._retriever.fingerprint

    async def search(self, queries: list[Query], top_k: int) -> list[Ranking]:
        return await self._retriever.search(queries, top_k)


def retriever_of_node(index: Path) -> Retriever:
    """The retriever of an index for a rollout worker: of this process, or of the node where it holds a model."""
    if ray.is_initialized() and holds_model(index):
        return NodeRetriever(index)
    return open_retriever(index)
