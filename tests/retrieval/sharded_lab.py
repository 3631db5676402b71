"""Indexes of shards, searched in this process: all that Ray does is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.sharded.files import open_shard, read_cuts
from drag_rl.retrieval.sharded.index import ShardedIndex
from drag_rl.retrieval.sharded.retriever import ShardedRetriever
from drag_rl.retrieval.sharded.search import ShardsHere


def sharded_here(folder: Path, texts: Mapping[str, str], **options: Any) -> ShardedRetriever:
    """The retriever of pages cut into shards that are searched here."""
    write_index(folder, texts, ShardedIndex(**options))
    cuts = read_cuts(folder)
    shards = ShardsHere([open_shard(folder, number) for number in range(len(cuts))])
    return ShardedRetriever(PageTexts.open(folder), cuts, shards, combined(fingerprint_files(folder)))
