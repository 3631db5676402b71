"""The kinds of index: what builds each, and what opens it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest, Problem
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.earlier import Earlier
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.tokenizer import Tokenizer, default_tokenizer
from drag_rl.tables import Table


@dataclass(frozen=True, kw_only=True)
class IndexKind(ABC):
    """The options of one kind of index, and what is done with them.

    Each field is an option of ``drag index``: it has a default, and its help text as ``Annotated[type, "text"]``; a
    ``tuple[str, ...]`` is an option that can be given several times. A kind is made of a folder of pages
    (:meth:`write`, :meth:`update`), of other indexes or a server (:meth:`compose`), or of either.
    """

    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions the manifest names."""

    @property
    def tokenizer(self) -> Tokenizer:
        """How texts become the terms by which snippets are cut."""
        return default_tokenizer()

    def of_pages(self, pages_dir: Path) -> IndexKind:
        """What makes this index of a folder of pages, before anything else is asked of it.

        Most kinds need no more than the texts that :meth:`write` gets; one that sees page images finds them here.
        Raises ``InputError`` for a folder that has none.
        """
        del pages_dir
        return self

    def inputs(self) -> dict[str, str]:
        """What the index is made from besides a folder of pages: name -> fingerprint (a part's, a model's).

        Raises ``InputError`` for one that is missing or does not fit.
        """
        return {}

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Write the back end's own files into an index folder; the files of ``pages`` are there already.

        The same pages must give the same files. Raises ``InputError`` for pages that cannot be indexed.
        """
        del folder, pages
        raise InputError("--pages: this kind of index has those of its parts; leave the option out")

    def update(self, folder: Path, pages: PageTexts, earlier: Earlier) -> None:
        """Write what :meth:`write` would, given an index of the same options that has some of these pages already.

        Where :meth:`write` gives the same bytes each time, so must this; only the work may be less.
        """
        del earlier
        self.write(folder, pages)

    def done(self, index_dir: Path) -> None:
        """Tidy up once the index is in its place, such as what a killed build would have gone on from.

        It is called for an index that was there already, too: a kill may have come between.
        """
        del index_dir

    def problems(self, folder: Path) -> list[Problem]:
        """The pages of a written index that it cannot find, or not as well as others, and why."""
        del folder
        return []

    def compose(self, folder: Path) -> PageTexts:
        """Write all files of an index that is made without a folder of pages; returns the pages that it can find.

        The same parts must give the same files. Raises ``InputError`` for parts that cannot be used.
        """
        del folder
        raise InputError("--pages is missing: a folder made by `drag ingest` or `drag data`")

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, manifest: Manifest) -> Retriever:
        """The retriever of an index folder, whose files have been checked against its manifest."""

    @classmethod
    def check_pages(cls, folder: Path, manifest: Manifest, pages_dir: Path) -> None:
        """Raise ``InputError`` unless the index was made from these pages; their ids and texts have been compared."""
        del folder, manifest, pages_dir

    @classmethod
    def holds_model(cls, folder: Path, manifest: Manifest) -> bool:
        """Whether the retriever of a folder loads a model, which the processes of a node should share."""
        del folder, manifest
        return False


INDEX_KINDS: Table[type[IndexKind]] = Table(
    "kind of index",
    {
        "bm25": "drag_rl.retrieval.sparse.index:Bm25Index",
        "dense": "drag_rl.retrieval.dense.index:DenseIndex",
        "late": "drag_rl.retrieval.late.index:LateIndex",
        "fuse": "drag_rl.retrieval.combine.fuse:FusedIndex",
        "rerank": "drag_rl.retrieval.combine.rerank:RerankIndex",
        "http": "drag_rl.retrieval.remote.index:HttpIndex",
        "sharded": "drag_rl.retrieval.sharded.index:ShardedIndex",
    },
    group="drag_rl.retrievers",
    plural="kinds of index",
)
"""By the ``kind`` in the manifest; a new one is a line here, or an entry point of an installed package."""
