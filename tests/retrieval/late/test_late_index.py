"""An index of page images finds pages by what they show, scores candidates, and explains what it finds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from late_lab import MODEL, drawn, indexed
from tile_index import TEXTS, embedder_of, found_by

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.documents import index_documents, search
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.open import holds_model


@pytest.mark.usefixtures("tiles")
def test_pages_are_found_by_what_their_images_show(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS)
    assert found_by(retriever, "yellow leaf")[0] == "dog#2"
    assert found_by(retriever, "red fox runs")[0] == "cat#1"
    assert found_by(retriever, "blue tree", scope="cat")[0] == "cat#2"
    (ranking,) = asyncio.run(retriever.search([Query(text="blue fox", track=("cat#2",))], 1))
    assert ranking.hits[0].score == pytest.approx(2, abs=0.01) and ranking.tracked == (1,)
    assert np.array_equal(np.asarray(retriever.page_image("dog#2")), np.asarray(drawn(TEXTS["dog#2"])))
    assert holds_model(tmp_path / "index")


@pytest.mark.usefixtures("tiles")
def test_vectors_are_those_of_the_model_in_bfloat16(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS)
    store = Store.open(tmp_path / "index", len(TEXTS))
    seen = retriever.encode_pages([drawn(text) for text in TEXTS.values()])
    for row, vectors in enumerate(seen):
        assert store.of_page(row) == pytest.approx(vectors, abs=2**-8)
    (tmp_path / "image.png").write_bytes((tmp_path / "pages-images" / "dog-2.png").read_bytes())
    assert np.array_equal(retriever.encode_pages([tmp_path / "image.png"])[0], seen[3])
    (query,) = retriever.encode_queries(["yellow leaf"])
    assert query.shape == (2, 128) and (query @ seen[3].T).max(axis=1).sum() == pytest.approx(2, abs=1e-5)


@pytest.mark.usefixtures("tiles")
def test_token_pooling_keeps_a_third(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(20))
    retriever = indexed(tmp_path, {"a#1": text, "a#2": "fox"}, pool=3)
    store = Store.open(tmp_path / "index", 2)
    assert np.diff(store.starts).tolist() == [20 // 3, 1]
    assert np.linalg.norm(store.of_page(0), axis=1) == pytest.approx(1, abs=0.01)
    assert len(retriever.encode_pages([drawn(text)])[0]) == 20 // 3


@pytest.mark.usefixtures("tiles")
def test_queries_are_embedded_once(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS, adapter="once")
    embedder = embedder_of(pool=1, adapter="once")
    for _ in range(3):
        found_by(retriever, "red leaf")
        asyncio.run(retriever.score("red leaf", ["cat#1"]))
    assert embedder.asked == [["red leaf"]]


@pytest.mark.usefixtures("tiles")
def test_a_page_is_looked_at_once_for_all_queries_that_explain_it(tmp_path: Path) -> None:
    retriever = indexed(tmp_path, TEXTS, adapter="explained")
    embedder = embedder_of(pool=1, adapter="explained")
    before = sum(embedder.embedded)
    red, leaf, _ = [
        asyncio.run(retriever.explain(query, page_id))
        for query, page_id in (("red", "dog#1"), ("leaf", "dog#1"), ("leaf", "dog#2"))
    ]
    assert sum(embedder.embedded) - before == 2
    assert [int(np.argmax(found.whole())) for found in (red, leaf)] == [4, 5], (
        "the place of the word in the text"
    )


@pytest.mark.usefixtures("tiles")
def test_it_scores_the_candidates_of_another_index(tmp_path: Path) -> None:
    late = indexed(tmp_path, TEXTS)
    build_index(tmp_path / "pages", tmp_path / "bm25")
    parts = (str(tmp_path / "bm25"), str(tmp_path / "index"))
    build_index(None, tmp_path / "two", "rerank", part=parts)
    reranked = open_retriever(tmp_path / "two")
    (ranking,) = asyncio.run(reranked.search([Query(text="red leaf")], 5))
    scores = asyncio.run(late.score("red leaf", [hit.page_id for hit in ranking.hits]))
    assert scores == sorted(scores, reverse=True) and ranking.hits[0].page_id == "dog#1"
    assert holds_model(tmp_path / "two")
    assert asyncio.run(late.score("--", ["cat#1", "dog#1"])) == [0.0, 0.0]
    with pytest.raises(InputError, match="'nowhere#9' is not in the index"):
        asyncio.run(late.score("red", ["nowhere#9"]))


@pytest.mark.usefixtures("tiles")
def test_the_python_api(tmp_path: Path) -> None:
    paths = []
    for number, text in enumerate(TEXTS.values()):
        paths.append(tmp_path / f"{number}.png")
        drawn(text).save(paths[-1])
    retriever = index_documents(
        list(TEXTS), [""] * len(TEXTS), paths, kind="late", folder=tmp_path / "made", model=MODEL, pool=1
    )
    assert search(retriever, "yellow leaf", top_k=1)[0].page_id == "dog#2"
