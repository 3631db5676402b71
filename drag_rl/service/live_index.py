"""The index that is served: when another takes its folder's place, it is opened beside it and then swapped in."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from drag_rl.files.manifest import manifest_path, read_manifest
from drag_rl.retrieval import Query, Retriever, open_retriever
from drag_rl.retrieval.index_folder import kind_of

WATCH_EVERY_S = 2.0
WARM_UP_WORDS = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIndex:
    """An index that has been opened."""

    retriever: Retriever
    kind: str

    @classmethod
    def of(cls, folder: Path) -> OpenIndex:
        """The index of a folder, after a first search, which loads what later ones have at hand.

        Do not call it in an event loop. Raises ``InputError`` for one that cannot be searched.
        """
        opened = cls(retriever=open_retriever(folder), kind=kind_of(read_manifest(folder)))
        pages = opened.retriever.pages
        words = pages.text(pages.page_ids[0]).split()[:WARM_UP_WORDS]
        asyncio.run(opened.retriever.search([Query(text=" ".join(words) or "page")], 1))
        return opened


class LiveIndex:
    """The newest index of a folder that could be opened; ``now`` is replaced as a whole, never changed."""

    def __init__(self, folder: Path, *, every_s: float = WATCH_EVERY_S) -> None:
        """Opens the index. Raises ``InputError`` for one that cannot be searched."""
        self.folder = folder
        self.problem: str | None = None
        """Why what lies in the folder now is not served; None if it is."""
        self.swaps = 0
        """How often another index has taken over."""
        self._every_s = every_s
        self._wanted = asyncio.Event()
        self._seen = _stamp(folder)
        self.now = OpenIndex.of(folder)

    async def watch(self) -> None:
        """Look every few seconds, and when asked to, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._every_s)
            self._wanted.clear()
            await self.look()

    def look_soon(self) -> None:
        """Have :meth:`watch` look at once."""
        self._wanted.set()

    async def look(self) -> None:
        """Open what lies in the folder if it is new; one that cannot be opened is tried again at each look."""
        stamp = _stamp(self.folder)
        if stamp == self._seen:
            self.problem = None
            return
        try:
            fresh = await asyncio.to_thread(OpenIndex.of, self.folder)
        except Exception as error:  # whatever is wrong with the new index, the old one goes on answering
            problem = " ".join(str(error).split()) or type(error).__name__
            if problem != self.problem:
                log.warning("the new index cannot be served, the old one goes on: %s", problem)
            self.problem = problem
            return
        self._seen, self.problem = stamp, None
        if fresh.retriever.fingerprint != self.now.retriever.fingerprint:
            self.now = fresh
            self.swaps += 1
            log.warning("serves the new index now: %d pages (%s)", len(fresh.retriever.pages), fresh.kind)


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    """Which manifest lies in a folder, without reading it; None if there is none."""
    try:
        found = manifest_path(folder).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
