"""The index that is a server's address: its options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar

from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.page_texts import PageTexts


@dataclass(frozen=True, kw_only=True)
class HttpIndex(IndexKind):
    """The options of ``drag index --kind http``. Raises ``InputError`` for values out of range."""

    packages: ClassVar[tuple[str, ...]] = ("httpx2",)
    url: Annotated[str, "Address of `drag serve`, or of a server that speaks Search-R1's /retrieve."] = ""
    rate: Annotated[float, "Requests a second, of all processes of a machine; 0 for no limit."] = 0.0
    timeout_s: Annotated[float, "Limit of one attempt at a request, in seconds."] = 30.0
    retries: Annotated[int, "Further attempts at a request, with growing pauses."] = 5
    depth: Annotated[int, "Hits that a server that is not ours is asked for: ranks are known down to it."] = (
        20
    )
    cache: Annotated[bool, "Keep answers on disk, in the user's cache folder."] = True

    def __post_init__(self) -> None:
        if not self.url:
            raise InputError(
                "--url is missing: the address of drag serve, or of Search-R1's retrieval server"
            )
        if not (0 <= self.rate < float("inf") and 0 < self.timeout_s < float("inf")):
            raise InputError(
                f"--rate must be 0 or more, --timeout-s more than 0, not {self.rate} and {self.timeout_s}"
            )
        if self.retries < 0 or self.depth < 1:
            raise InputError(
                f"--retries must be 0 or more, --depth 1 or more, not {self.retries} and {self.depth}"
            )

    # What talks to servers is imported when one is talked to: `drag index --help` talks to none.

    def inputs(self) -> dict[str, str]:
        """The server's index, as the server itself says; of one that does not, its address."""
        from drag_rl.retrieval.remote.connect import server_inputs

        return server_inputs(self)

    def write(self, folder: Path, pages: PageTexts) -> None:
        """Write which server has these pages. Raises ``InputError`` for a server that has others."""
        from drag_rl.retrieval.remote.connect import write_server

        write_server(self, folder, pages)

    def compose(self, folder: Path) -> PageTexts:
        """Fetch the pages of a service of ours, and write which index it has."""
        from drag_rl.retrieval.remote.connect import fetch_pages

        return fetch_pages(self, folder)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Retriever:
        """The retriever of a folder. Raises ``InputError`` for a service that is gone or has another index now."""
        from drag_rl.retrieval.remote.connect import server_retriever

        options = cls(**{field.name: manifest.config[field.name] for field in fields(cls)})
        return server_retriever(options, folder, manifest.fingerprint)
