"""A new index in the folder's place is taken in while requests go on; one that cannot be read is not."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import httpx2
import pytest
from service_lab import running
from tiny_corpus import write_pages

from drag_rl.errors import InputError
from drag_rl.files.manifest import MANIFEST
from drag_rl.retrieval import build_index
from drag_rl.service.app import service_app
from drag_rl.service.endpoint import INDEX_HEADER
from drag_rl.service.live_index import LiveIndex


def indexed(folder: Path, *texts: str) -> None:
    shutil.rmtree(folder / "pages", ignore_errors=True)
    build_index(write_pages(folder / "pages", texts), folder / "index")


def test_a_broken_index_keeps_the_old_one_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    indexed(tmp_path, "red fox")
    live = LiveIndex(tmp_path / "index")
    first = live.now
    asyncio.run(live.look())
    assert live.now is first and live.problem is None
    indexed(tmp_path, "red fox", "blue fox")
    manifest = (tmp_path / "index" / MANIFEST).read_bytes()
    (tmp_path / "index" / MANIFEST).write_bytes(b"{")
    for _ in range(2):
        asyncio.run(live.look())
        assert live.now is first and "garbled manifest" in str(live.problem)
    assert len(caplog.records) == 1, "a problem is told once"
    (tmp_path / "index" / MANIFEST).write_bytes(manifest)
    asyncio.run(live.look())
    assert len(live.now.retriever.pages) == 2 and live.problem is None and live.swaps == 1
    shutil.rmtree(tmp_path / "index")
    asyncio.run(live.look())
    assert "does not exist" in str(live.problem) and len(live.now.retriever.pages) == 2


def test_what_is_no_index_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        LiveIndex(tmp_path / "none")


def test_no_request_is_lost_while_indexes_change(tmp_path: Path) -> None:
    indexed(tmp_path, "red fox")
    live = LiveIndex(tmp_path / "index", every_s=0.02)
    sizes = {live.now.retriever.fingerprint: 1}
    done, answers = threading.Event(), []

    def ask(url: str) -> None:
        with httpx2.Client(base_url=url) as client:
            while not done.is_set():
                answer = client.post("/retrieve", json={"queries": ["fox"], "topk": 9})
                answers.append((answer.status_code, answer.headers[INDEX_HEADER], answer.json()["result"]))

    with running(service_app(live)) as url:
        callers = [threading.Thread(target=ask, args=(url,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            for size in (2, 3, 4):
                indexed(tmp_path, *["red fox"] * size)
                while len(live.now.retriever.pages) != size:
                    assert callers[0].is_alive()
                    done.wait(0.005)
                sizes[live.now.retriever.fingerprint] = size
        finally:
            done.set()
            for caller in callers:
                caller.join()
        health = httpx2.get(f"{url}/health").json()
    assert {status for status, _, _ in answers} == {200}
    assert all(len(result[0]) == sizes[fingerprint] for _, fingerprint, result in answers)
    assert (health["pages"], health["problem"], live.swaps) == (4, None, 3)
