"""Late interaction as a part of other indexes: the second stage of words or of several, or fused with words."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conformance import RetrieverConformance, page_ids, search
from late_lab import MODEL, TILE, opened, tiles_installed, write_pages
from PIL import Image
from service_lab import running
from test_conformance import built

from drag_rl.cli.main import main
from drag_rl.retrieval import Query, Retriever, build_index, open_retriever
from drag_rl.retrieval.combine.fuse import FusedRetriever
from drag_rl.retrieval.combine.rerank import RerankedRetriever
from drag_rl.retrieval.late.heat_map import Explains, share_within
from drag_rl.retrieval.late.retriever import LateRetriever
from drag_rl.retrieval.open import holds_model
from drag_rl.retrieval.sparse.index import Bm25Index
from drag_rl.service.app import service_app
from drag_rl.service.live_index import LiveIndex


class _Composed(RetrieverConformance):
    """Of an index of words and one that sees pages."""

    scope_keeps_order = False

    @pytest.fixture(scope="class", autouse=True)
    def tiles(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        with tiles_installed(tmp_path_factory.mktemp("tiles")):
            yield

    def parts(self, folder: Path, texts: Mapping[str, str]) -> tuple[Retriever, LateRetriever]:
        (folder / "words").mkdir()
        words = built(folder / "words", texts, Bm25Index())
        return words, opened(folder / "late", texts, rescore_ratio=1)


@pytest.mark.slow
class TestWordsThenLate(_Composed):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        words, late = self.parts(folder, texts)
        return RerankedRetriever(words, late, f"{words.fingerprint} then {late.fingerprint}", candidates=5)


@pytest.mark.slow
class TestWordsFusedWithLate(_Composed):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        parts = self.parts(folder, texts)
        return FusedRetriever(parts, f"{[part.fingerprint for part in parts]}", candidates=20)


@pytest.mark.slow
class TestFusedThenLate(_Composed):
    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        words, late = self.parts(folder, texts)
        fused = FusedRetriever([words, late], "fused", candidates=20)
        return RerankedRetriever(fused, late, f"fused then {late.fingerprint}", candidates=5)


TEXTS = {
    "cat#1": "fox fox fox runs",
    "cat#2": "blue fox",
    "dog#1": "green tree and a red leaf",
    "dog#2": "yellow leaf",
    "dog#3": "blue tree tree tree",
}


def drag(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``words``, ``late``, ``best`` (words, then late) and ``both`` (fused) of the same drawn pages."""
    folder = tmp_path_factory.mktemp("composed")
    write_pages(folder / "pages", TEXTS)
    both = ("--part", folder / "words", "--part", folder / "late")
    with tiles_installed(folder):
        of_pages = ("index", "--pages", folder / "pages", "--out")
        assert drag(*of_pages, folder / "words") == 0
        assert drag(*of_pages, folder / "late", "--kind", "late", "--model", MODEL, "--pool", 1) == 0
        assert drag("index", "--out", folder / "best", "--kind", "rerank", *both, "--candidates", 3) == 0
        assert drag("index", "--out", folder / "both", "--kind", "fuse", *both) == 0
        yield folder


def test_the_second_stage_puts_candidates_in_the_order_of_what_their_images_show(world: Path) -> None:
    words, late, best = (open_retriever(world / name) for name in ("words", "late", "best"))
    query = Query(text="blue fox", track=tuple(TEXTS))
    (first,), (seen,), (found,) = (search(one, [query], 5) for one in (words, late, best))
    candidates = page_ids(first)
    assert set(candidates) == {"cat#1", "cat#2", "dog#3"}
    assert page_ids(found) == [page_id for page_id in page_ids(seen) if page_id in candidates]
    assert found.hits[0].page_id == "cat#2" and found.tracked[1] == 1
    assert found.tracked[3] is None and found.exact_to is None, "what has no word of the query is not found"
    assert holds_model(world / "best") and holds_model(world / "both")


def test_fused_finds_what_either_finds(world: Path) -> None:
    query = Query(text="blue fox")
    (found,) = search(open_retriever(world / "both"), [query], 5)
    assert found.hits[0].page_id == "cat#2" and set(page_ids(found)) == set(TEXTS)


@pytest.mark.parametrize("name", ["late", "best", "both"])
def test_why_a_page_matched_is_told_through_every_composition(world: Path, name: str) -> None:
    index = open_retriever(world / name)
    assert isinstance(index, Explains)
    found = asyncio.run(index.explain("red tree", "dog#1"))
    assert [word.text for word in found.words] == ["red", "tree"]
    # The page has four tiles a line: green tree and a / red leaf.
    boxes = [(0, TILE, TILE, 2 * TILE), (TILE, 0, 2 * TILE, TILE)]
    for number, box in enumerate(boxes):
        assert share_within(found.of_word(number), box, found.image.size) > 0.9


@pytest.mark.parametrize("name", ["late", "best", "both"])
def test_it_is_served_with_the_same_hits_and_ranks(world: Path, tmp_path: Path, name: str) -> None:
    queries = [Query(text="blue fox", track=("dog#3",)), Query(text="leaf", scope="dog", track=("dog#2",))]
    with running(service_app(LiveIndex(world / name))) as url:
        build_index(None, tmp_path / "remote", "http", url=url, cache=False)
        assert search(open_retriever(tmp_path / "remote"), queries, 3) == search(
            open_retriever(world / name), queries, 3
        )


def test_asking_query_after_query_by_hand(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("blue fox\nyellow leaf\n"))
    assert drag("search", "--index", world / "late", "--interactive", "--top-k", 1) == 0
    assert [word for word in capsys.readouterr().out.split() if "#" in word] == ["cat#2", "dog#2"]


@pytest.mark.parametrize("name", ["best", "both"])
def test_a_composed_index_is_searched_and_explained_by_hand(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    search_it = ("search", "--index", world / name, "--json", "blue fox")
    assert drag(*search_it, "--explain", tmp_path / "why.png") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["page_id"] == "cat#2" and "where cat#2 matches" in err
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.format == "PNG"
    assert drag("search", "--index", world / "words", "fox", "--explain", tmp_path / "no.png") == 2
    assert "cannot show why a page matched" in capsys.readouterr().err
