"""A faiss index that another program made is taken over, if it is of these pages and of this model."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import RetrieverConformance, search
from dense_lab import opened
from embeddings_stand_in import MODEL, EmbeddingsStandIn, of_text
from tiny_corpus import page_of

from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.retrieval import Query, Retriever, build_index, open_retriever
from drag_rl.retrieval.dense.index import DenseIndex

TEXTS = {
    f"{7000 + n}#1": f"page {n} about {word}" for n, word in enumerate(["save", "load", "graph", "file"] * 8)
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddingsStandIn]:
    with EmbeddingsStandIn() as stand_in:
        yield stand_in


def made(
    folder: Path, texts: Mapping[str, str], key: str = "Flat", metric: str = "INNER_PRODUCT"
) -> list[str]:
    """Write ``their.faiss`` as others do, of texts with a word; returns the ids of its vectors' pages, in its order."""
    import faiss

    ids = [page_id for page_id in reversed(texts) if any(map(str.isalnum, texts[page_id]))]
    vectors = np.stack([of_text(texts[page_id]) for page_id in ids]).astype("f4")
    faiss.normalize_L2(vectors)
    index = faiss.index_factory(vectors.shape[1], key, getattr(faiss, f"METRIC_{metric}"))
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(folder / "their.faiss"))
    return ids


def options(folder: Path, server: EmbeddingsStandIn, mapping: Any) -> dict[str, Any]:
    (folder / "id_mapping.pkl").write_bytes(pickle.dumps(mapping))
    files = {"faiss_file": str(folder / "their.faiss"), "id_mapping": str(folder / "id_mapping.pkl")}
    return {"model": server.url, "served_model": MODEL, **files}


def pages_dir(folder: Path, texts: Mapping[str, str] = TEXTS) -> Path:
    pages = [page_of(page_id.partition("#")[0], 1, text) for page_id, text in texts.items()]
    write_pages(folder / "pages", pages, stage="ingest", pdf_dir=None)
    return folder / "pages"


@pytest.mark.slow
class TestForeign(RetrieverConformance):
    scope_keeps_order = False

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with EmbeddingsStandIn() as cls.stand_in:
            yield

    def build(self, folder: Path, texts: Mapping[str, str]) -> Retriever:
        mapping = made(folder, texts)
        return opened(folder, texts, DenseIndex(**options(folder, self.stand_in, mapping)))


@pytest.mark.parametrize(
    ("key", "metric"),
    [("Flat", "INNER_PRODUCT"), ("Flat", "L2"), ("IVF2,Flat", "L2"), ("HNSW8", "INNER_PRODUCT")],
)
def test_it_finds_what_its_vectors_find(
    server: EmbeddingsStandIn, tmp_path: Path, key: str, metric: str
) -> None:
    ids = made(tmp_path, TEXTS, key, metric)
    own = {number: int(page_id.partition("#")[0]) for number, page_id in enumerate(ids)}
    build_index(pages_dir(tmp_path), tmp_path / "index", "dense", **options(tmp_path, server, own))
    (tmp_path / "their.faiss").unlink()
    (found,) = search(open_retriever(tmp_path / "index"), [Query(text="graph 6", track=tuple(TEXTS))], 5)
    query = of_text("graph 6") / np.linalg.norm(of_text("graph 6"))
    scores = {
        page_id: of_text(text) @ query / np.linalg.norm(of_text(text)) for page_id, text in TEXTS.items()
    }
    assert [hit.page_id for hit in found.hits] == sorted(scores, key=scores.__getitem__, reverse=True)[:5]
    assert found.exact_to == 1000 and sorted(filter(None, found.tracked)) == [*range(1, len(TEXTS) + 1)]
    if metric == "INNER_PRODUCT":
        assert [hit.score for hit in found.hits] == pytest.approx(sorted(scores.values())[:-6:-1], abs=1e-5)


@pytest.mark.parametrize("shape", ["list", "dict", "by document", "array"])
def test_mappings_of_every_shape_are_read(server: EmbeddingsStandIn, tmp_path: Path, shape: str) -> None:
    ids = made(tmp_path, TEXTS)
    mapping = {
        "list": ids,
        "dict": dict(enumerate(ids)),
        "by document": {page_id: number for number, page_id in enumerate(ids)},
        "array": np.array([int(page_id.partition("#")[0]) for page_id in ids]),
    }[shape]
    index = DenseIndex(**options(tmp_path, server, mapping))
    (found,) = search(opened(tmp_path, TEXTS, index), [Query(text="page 6 about graph")], 1)
    assert [hit.page_id for hit in found.hits] == ["7006#1"] and found.hits[0].score == pytest.approx(
        1, abs=1e-5
    )


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (["7000#1"], "holds 1 documents, and --faiss-file 32 vectors"),
        ({1: "a"}, "does not map each of the 32 vectors, numbered from 0, to a document"),
        ([f"x{n}" for n in range(32)], "document 'x0' of vector 0 is not among the pages"),
        ([1.5] * 32, "'1.5' is no id of a document"),
        ("text", "holds a str, and --faiss-file 32 vectors"),
        ({"a": len}, "holds builtins.len, which is no plain data"),
    ],
)
def test_a_mapping_of_other_pages_is_refused(
    server: EmbeddingsStandIn, tmp_path: Path, mapping: Any, message: str
) -> None:
    made(tmp_path, TEXTS)
    with pytest.raises(InputError, match=message):
        opened(tmp_path, TEXTS, DenseIndex(**options(tmp_path, server, mapping)))


def test_vectors_of_another_model_and_files_that_are_none_are_refused(
    server: EmbeddingsStandIn, tmp_path: Path
) -> None:
    import faiss

    index = DenseIndex(**options(tmp_path, server, [*TEXTS]))
    with pytest.raises(InputError, match=r"their\.faiss: cannot be read"):
        index.inputs()
    (tmp_path / "their.faiss").write_bytes(b"IxFI nothing")
    with pytest.raises(InputError, match=r"vectors\.faiss: is no index that faiss"):
        opened(tmp_path, TEXTS, index)
    other = faiss.IndexFlatIP(16)
    other.add(np.ones((len(TEXTS), 16), "f4"))
    faiss.write_index(other, str(tmp_path / "their.faiss"))
    with pytest.raises(InputError, match="has vectors of 16 numbers, and --model makes 32"):
        opened(tmp_path / "wide", TEXTS, index)
    many = {f"d{n}#1": f"word{n}" for n in range(400)}
    vectors = np.stack([-of_text(text) for text in many.values()]).astype("f4")
    opposite = faiss.IndexFlatIP(vectors.shape[1])
    opposite.add(vectors)
    faiss.write_index(opposite, str(tmp_path / "their.faiss"))
    with pytest.raises(InputError, match="none of 8 pages is among the 100 vectors nearest to it"):
        opened(tmp_path / "strange", many, DenseIndex(**options(tmp_path, server, [*many])))
    with pytest.raises(InputError, match="--faiss-file and --id-mapping go together"):
        DenseIndex(model=server.url, served_model=MODEL, faiss_file="their.faiss")
