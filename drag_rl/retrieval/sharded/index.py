"""The index of shards: its options, its files and its retriever."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sharded.actors import ShardActors, ShardStep, on_cluster
from drag_rl.retrieval.sharded.cuts import Cuts
from drag_rl.retrieval.sharded.files import (
    forget_statistics,
    read_cuts,
    weigh_shard,
    write_cuts,
    write_shard,
    write_statistics,
)
from drag_rl.retrieval.sharded.retriever import ShardedRetriever
from drag_rl.retrieval.sparse.index import Bm25Index, check_words

FEW_PAGES = 100_000
"""The shards of so few pages are written sooner than a Ray cluster is started."""


@dataclass(frozen=True, kw_only=True)
class ShardedIndex(Bm25Index):
    """The options of ``drag index --kind sharded``, those of bm25 and its own.

    Raises ``InputError`` for values out of range.
    """

    shards: Annotated[
        int, "Parts that the pages are cut into, each searched by an actor of a Ray cluster."
    ] = 2
    replicas: Annotated[int, "Actors for each shard, which share its searches."] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("shards", self.shards), ("replicas", self.replicas)):
            if value < 1:
                raise InputError(f"--{name} must be 1 or more, not {value}")

    @property
    def of_shard(self) -> Bm25Index:
        """The options of the index of one shard."""
        return Bm25Index(**{field.name: getattr(self, field.name) for field in fields(Bm25Index)})

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Write the postings of each shard, and what is known of all. Raises ``InputError`` for pages without any term,
        or if the cluster cannot write them."""
        check_words(pages)
        cuts = Cuts.even(len(pages), self.shards)
        write_cuts(folder, cuts)

        def of_each(step: ShardStep, doing: str) -> None:
            if len(pages) > FEW_PAGES:
                on_cluster(step, folder, len(cuts), self.of_shard, doing)
                return
            for number in range(len(cuts)):
                step(folder, number, self.of_shard)

        of_each(write_shard, "writing shards")
        write_statistics(folder)
        of_each(weigh_shard, "weighing shards")
        forget_statistics(folder)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Retriever:
        """The retriever of a folder; starts its actors, or joins those of other processes in the same Ray cluster."""
        cuts = read_cuts(folder)
        actors = ShardActors(
            folder.resolve(), manifest.fingerprint, len(cuts), int(manifest.config.get("replicas", 1))
        )
        return ShardedRetriever(PageTexts.open(folder), cuts, actors, manifest.fingerprint)
