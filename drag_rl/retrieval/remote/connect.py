"""Getting to know a server when an index of it is made, and meeting it again when that is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from drag_rl.errors import InputError
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.remote.asks import Ask, sendable
from drag_rl.retrieval.remote.background import CONNECTIONS
from drag_rl.retrieval.remote.cache import AnswerCache, cache_folder
from drag_rl.retrieval.remote.drag_server import (
    DragServer,
    DragServiceRetriever,
    changed,
    served_index,
    served_pages,
)
from drag_rl.retrieval.remote.rate import RateLimit
from drag_rl.retrieval.remote.search_r1 import SearchR1Retriever, SearchR1Server
from drag_rl.retrieval.remote.transport import ServerSettings, Transport, limit_file, server_root

if TYPE_CHECKING:
    from drag_rl.retrieval.remote.index import HttpIndex

SERVER = "server.json"
"""Which protocol the server speaks; of ours the fingerprint of its index, of another one its address."""
OURS, SEARCH_R1 = "drag", "search-r1"


def server_inputs(options: HttpIndex) -> dict[str, str]:
    """The server's index, as the server itself says; of a server that does not, its address."""
    served = served_index(_transport(options))
    return {"server": served[0] if served else server_root(options.url)}


def write_server(options: HttpIndex, folder: Path, pages: PageTexts) -> None:
    """Write which server has these pages. Raises ``InputError`` for a server that has others."""
    transport = _transport(options)
    served = served_index(transport)
    if served is None:
        words = next((text.split() for text in map(pages.text, pages.page_ids) if text.strip()), ["page"])
        CONNECTIONS.wait(_try(SearchR1Server(transport, pages), " ".join(words[:8])))
        _write(folder, {"protocol": SEARCH_R1, "url": server_root(options.url)})
        return
    index, count = served
    if count != len(pages):
        raise InputError(f"--url {options.url}: has {count} pages, --pages {len(pages)}; leave --pages out")
    _write(folder, {"protocol": OURS, "index": index})


def fetch_pages(options: HttpIndex, folder: Path) -> PageTexts:
    """Write the pages of a service of ours, and which index it has. Raises ``InputError`` for another server."""
    transport = _transport(options)
    served = served_index(transport)
    if served is None:
        raise InputError(
            f"--url {options.url}: does not tell its pages, as drag serve does; give --pages DIR"
        )
    index, count = served
    write_page_store(folder, served_pages(transport, index), options.tokenizer, expected=count)
    pages = PageTexts.open(folder)
    if len(pages) != count:
        raise changed(transport)
    _write(folder, {"protocol": OURS, "index": index})
    return pages


def server_retriever(options: HttpIndex, folder: Path, fingerprint: str) -> Retriever:
    """The retriever of a folder. Raises ``InputError`` for a service that is gone or has another index now."""
    server = json.loads((folder / SERVER).read_text(encoding="utf-8"))
    pages, transport = PageTexts.open(folder), _transport(options)
    cache = AnswerCache(cache_folder() / "http-answers.sqlite") if options.cache else None
    if server["protocol"] == SEARCH_R1:
        return SearchR1Retriever(SearchR1Server(transport, pages), pages, fingerprint, options.depth, cache)
    served = served_index(transport)
    if served is None or served[0] != server["index"]:
        raise changed(transport)
    return DragServiceRetriever(DragServer(transport, server["index"], pages), pages, fingerprint, cache)


def _transport(options: HttpIndex) -> Transport:
    root = server_root(options.url)
    settings = ServerSettings(url=root, timeout_s=options.timeout_s, retries=options.retries)
    rate = RateLimit(limit_file(cache_folder(), root), options.rate) if options.rate else None
    return Transport(settings, rate)


async def _try(server: SearchR1Server, text: str) -> None:
    """Search once, so that a server of another protocol or of other pages is found out."""
    await server.transport.turn()
    await server.answer([Ask(text=sendable(text), top_k=1)])


def _write(folder: Path, server: dict[str, str]) -> None:
    (folder / SERVER).write_text(json.dumps(server), encoding="utf-8")
