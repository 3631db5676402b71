"""An index from Python lists, and searching it without an event loop."""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from drag_rl.corpus.clean_text import clean_text
from drag_rl.corpus.image_pages import DPI, read_page_image
from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.retrieval.base import Query, Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.retrieval.build import build_index
from drag_rl.retrieval.index_folder import DEFAULT_KIND
from drag_rl.retrieval.open import open_retriever
from drag_rl.types import Hit, Page

STAGE = "convert"
IMAGES = "page_images"
"""Where copies of the images of pages lie, beside the pages and the index."""
_PAGE_ID = re.compile(r"(?P<document>.+)#(?P<number>[1-9][0-9]{0,8})", re.DOTALL)


def index_documents(
    doc_ids: Sequence[str],
    texts: Sequence[str],
    image_paths: Sequence[Path | str] | None = None,
    *,
    kind: str = DEFAULT_KIND,
    folder: Path | str | None = None,
    **options: Any,
) -> Retriever:
    """Make texts searchable.

    Args:
        doc_ids: An id for each text, all different. ``"manual#2"`` is page 2 of the document ``manual``; an id without
            a number after its last ``#``, such as ``"note"``, is a document of one page, whose page id is ``"note#1"``.
        texts: What is searched.
        image_paths: An image of each page, for observations that show pages and indexes that see them; they need a
            ``folder``, which keeps copies.
        kind: A kind of index, as of ``drag index --kind``.
        folder: Where the index goes, to be opened again or trained with: ``folder/pages`` and ``folder/index`` are
            what ``drag ingest`` and ``drag index`` would have made. None keeps all in a temporary folder that goes
            when the retriever does.
        **options: Options of the kind, such as ``k1=0.9``.

    Returns:
        What finds the pages; its page order is that of documents and page numbers.

    Raises:
        InputError: For ids that are not all different, lists of different lengths, images that cannot be read, or
            options that the kind does not have.
    """
    if folder is None:
        if image_paths is not None:
            raise InputError(
                "image_paths: needs a folder to keep the images in: index_documents(..., folder=...)"
            )
        temporary = tempfile.TemporaryDirectory(prefix="drag-rl-")
        retriever = _indexed(Path(temporary.name), _documents(doc_ids, texts, None), kind, options)
        weakref.finalize(retriever.pages, temporary.cleanup)
        return retriever
    return _indexed(Path(folder), _documents(doc_ids, texts, image_paths), kind, options)


@overload
def search(  # type: ignore[overload-overlap]  # a str is a sequence, too
    retriever: Retriever, queries: str | Query, top_k: int = 3, *, snippet_chars: int = 300
) -> list[Hit]: ...
@overload
def search(
    retriever: Retriever, queries: Sequence[str | Query], top_k: int = 3, *, snippet_chars: int = 300
) -> list[list[Hit]]: ...
def search(
    retriever: Retriever,
    queries: str | Query | Sequence[str | Query],
    top_k: int = 3,
    *,
    snippet_chars: int = 300,
) -> list[Hit] | list[list[Hit]]:
    """The best pages of a query, best first, with snippets; a list of them for a list of queries.

    Waits for the result, in any code: a script, a thread, or a notebook, whose event loop runs already. Raises
    ``InputError`` as the retriever does.
    """
    if isinstance(queries, (str, Query)):
        return search(retriever, [queries], top_k, snippet_chars=snippet_chars)[0]
    asked = [Query(text=query) if isinstance(query, str) else query for query in queries]
    rankings = blocking(retriever.search(asked, top_k))
    pages = retriever.pages
    return [
        [replace(hit, snippet=pages.snippet(hit.page_id, query.text, snippet_chars)) for hit in ranking.hits]
        for query, ranking in zip(asked, rankings, strict=True)
    ]


@dataclass(frozen=True, slots=True, order=True)
class _Document:
    """One text, in page order."""

    doc_id: str
    number: int
    text: str
    image: Path | None


def _documents(
    doc_ids: Sequence[str], texts: Sequence[str], image_paths: Sequence[Path | str] | None
) -> list[_Document]:
    """The texts in page order. Raises ``InputError`` for ids that are twice there, or lists that do not fit."""
    images: Sequence[Path | str | None] = [None] * len(doc_ids) if image_paths is None else image_paths
    for name, given in (("texts", texts), ("image_paths", images)):
        if len(given) != len(doc_ids):
            raise InputError(f"{name}: there are {len(given)} for {len(doc_ids)} doc_ids; give one for each")
    if not doc_ids:
        raise InputError("doc_ids: is empty; give the id of a text or more")
    of_page: dict[tuple[str, int], str] = {}
    documents = []
    for given_id, text, image in zip(doc_ids, texts, images, strict=True):
        if not isinstance(given_id, str) or not given_id.isprintable() or not given_id:
            raise InputError(f"doc_ids: {given_id!r} is no id: give a text without control characters")
        if not isinstance(text, str):
            raise InputError(f"texts: that of {given_id!r} is no text but {type(text).__name__}")
        if image is None and image_paths is not None:
            raise InputError(f"image_paths: there is none for {given_id!r}; give one for each text")
        found = _PAGE_ID.fullmatch(given_id)
        page = (found["document"], int(found["number"])) if found else (given_id, 1)
        if page in of_page:
            raise InputError(
                f"doc_ids: {of_page[page]!r} and {given_id!r} are the same page; give each an id of its own"
            )
        of_page[page] = given_id
        documents.append(_Document(*page, clean_text(text), None if image is None else Path(image)))
    return sorted(documents)


def _indexed(folder: Path, documents: Sequence[_Document], kind: str, options: dict[str, Any]) -> Retriever:
    images = folder / IMAGES if documents[0].image else None
    pages = list(_with_images(documents, images) if images else map(_page, documents))
    write_pages(folder / "pages", pages, stage=STAGE, pdf_dir=None, image_dir=images, dpi=DPI)
    build_index(folder / "pages", folder / "index", kind, **options)
    return open_retriever(folder / "index")


def _with_images(documents: Sequence[_Document], images: Path) -> Iterator[Page]:
    """The pages, after a copy of each image is in the folder ``images``."""
    from drag_rl.corpus.image_store import ImageStore

    store = ImageStore(images)
    for document in documents:
        assert document.image is not None  # as _documents says
        size = read_page_image(document.image).size
        kept = store.add(document.image.read_bytes())
        yield _page(document, kept.file, kept.sha256, size)


def _page(
    document: _Document, source_file: str = "", sha256: str = "", size: tuple[int, int] = (0, 0)
) -> Page:
    return Page(
        page_id=f"{document.doc_id}#{document.number}",
        doc_id=document.doc_id,
        page_number=document.number,
        label="",
        text=document.text,
        width_pt=float(size[0]),
        height_pt=float(size[1]),
        source_file=source_file,
        source_sha256=sha256,
        text_source="ocr" if document.text else "none",
        status="ok",
        reason="",
    )
