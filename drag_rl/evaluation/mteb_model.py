"""Any kind of index as a model that ``mteb`` evaluates, on its own tasks and with its own numbers.

::

    import mteb
    from drag_rl.evaluation.mteb_model import IndexModel

    task = mteb.get_task("VidoreDocVQARetrieval")
    results = mteb.evaluate(IndexModel(kind="late", model="my-retriever"), task)

``mteb`` is no dependency of ours: ``pip install mteb``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drag_rl.corpus.clean_text import clean_text
from drag_rl.corpus.image_pages import DPI
from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.files.manifest import package_version
from drag_rl.retrieval import open_retriever
from drag_rl.retrieval.base import Query, Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.retrieval.build import build_index
from drag_rl.retrieval.index_folder import DEFAULT_KIND
from drag_rl.types import Page

QUERIES_AT_A_TIME = 64


class IndexModel:
    """A model by mteb's ``SearchProtocol``: it indexes the corpus of a task, then searches it."""

    def __init__(self, kind: str = DEFAULT_KIND, *, folder: Path | None = None, **options: Any) -> None:
        """``kind`` and ``options`` are those of ``drag index``.

        Pages and indexes lie in ``folder``, by task, where later runs find them; None keeps them in a temporary folder.
        """
        self._kind = kind
        self._options = options
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="drag-rl-mteb-")
        self._folder = folder or Path(self._temporary.name if self._temporary else "")
        self._retriever: Retriever | None = None
        self._ids: list[str] = []
        """The corpus' own id of each page, in page order."""

    @property
    def mteb_model_meta(self) -> Any:
        """mteb's ``ModelMeta``."""
        from mteb.models.model_meta import ModelMeta

        about: dict[str, Any] = dict.fromkeys(
            name for name, field in ModelMeta.model_fields.items() if field.is_required()
        )
        named = "-".join([self._kind, *(f"{name}={value}" for name, value in sorted(self._options.items()))])
        about |= {
            "name": f"drag-rl/{named.replace('/', '_')}",
            "revision": package_version("drag-rl"),
            "framework": [],
            "modalities": ["text", "image"],
        }
        return ModelMeta(**about)

    def index(
        self, corpus: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **_others: Any
    ) -> None:
        """Index a corpus: a ``datasets.Dataset`` with ``id``, and ``text`` (and ``title``), ``image``, or both.

        Raises ``InputError`` for a row without an image in a corpus of images.
        """
        folder = self._folder / f"{task_metadata.name}-{hf_subset}-{hf_split}".replace("/", "_")
        self._ids = [str(corpus_id) for corpus_id in corpus["id"]]
        _write_corpus(corpus, folder / "pages")
        build_index(folder / "pages", folder / "index", self._kind, **self._options)
        self._retriever = open_retriever(folder / "index")

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_others: Any,
    ) -> dict[str, dict[str, float]]:
        """Query id -> document id -> score of the best ``top_k`` documents.

        Equal scores are told apart by a last digit, so that mteb keeps our order. With ``top_ranked``, the candidates
        of a reranking task, only these are ranked.
        """
        if self._retriever is None:
            raise InputError("IndexModel.search: call index first, as mteb does")
        ids = [str(query_id) for query_id in queries["id"]]
        texts = [str(text) for text in queries["text"]]
        depth = top_k if top_ranked is None else len(self._ids)
        found: dict[str, dict[str, float]] = {}
        for start in range(0, len(ids), QUERIES_AT_A_TIME):
            some = slice(start, start + QUERIES_AT_A_TIME)
            asked = [Query(text=text) for text in texts[some]]
            rankings = blocking(self._retriever.search(asked, depth))
            for query_id, ranking in zip(ids[some], rankings, strict=True):
                wanted = None if top_ranked is None else set(top_ranked[query_id])
                scored = ((self._ids[_place(hit.page_id)], hit.score) for hit in ranking.hits)
                kept = [(doc_id, score) for doc_id, score in scored if wanted is None or doc_id in wanted]
                found[query_id] = _falling(kept[:top_k])
        return found


def _write_corpus(corpus: Any, pages_dir: Path) -> None:
    """The rows of a corpus as pages, each a document of its own, in their order."""
    images = pages_dir / "page_images" if "image" in corpus.column_names else None
    write_pages(pages_dir, _pages(corpus, images), stage="convert", pdf_dir=None, image_dir=images, dpi=DPI)


def _pages(corpus: Any, images: Path | None) -> Iterator[Page]:
    from drag_rl.corpus.image_pages import read_page_image
    from drag_rl.corpus.image_store import ImageStore

    rows: Iterable[Mapping[str, Any]] = corpus
    if images:
        import datasets

        rows = corpus.cast_column("image", datasets.Image(decode=False))
    for number, row in enumerate(rows):
        source, size = ("", ""), (0, 0)
        if images:
            data = (row["image"] or {}).get("bytes")
            if not data:
                raise InputError(f"corpus row {number + 1} (id {row['id']!r}): has no image")
            kept = ImageStore(images).add(data)
            source, size = (kept.file, kept.sha256), read_page_image(images / kept.file).size
        text = clean_text("\n\n".join(str(row[name]) for name in ("title", "text") if row.get(name)))
        yield Page(
            page_id=f"{number:09}#1",
            doc_id=f"{number:09}",
            page_number=1,
            label="",
            text=text,
            width_pt=float(size[0]),
            height_pt=float(size[1]),
            source_file=source[0],
            source_sha256=source[1],
            text_source="ocr" if text else "none",
            status="ok",
            reason="",
        )


def _place(page_id: str) -> int:
    return int(page_id.partition("#")[0])


def _falling(ranked: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The same scores, each lower than the one before in the single precision that mteb's evaluation has.

    >>> scores = _falling([("a", 1.0), ("b", 1.0)])
    >>> scores["a"], scores["b"] < 1.0, round(scores["b"], 6)
    (1.0, True, 1.0)
    """
    scores: dict[str, float] = {}
    last = np.float32(np.inf)
    for doc_id, score in ranked:
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        scores[doc_id] = float(last)
    return scores
