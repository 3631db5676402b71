"""Where the images of pages come from while they are encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from PIL import Image

from drag_rl.corpus.images import DEFAULT_MAX_PIXELS, PageImages
from drag_rl.corpus.renderer_pool import RendererPool
from drag_rl.errors import InputError

PIXELS_A_TOKEN = 32 * 32
"""Of Qwen3-VL: patches of 16 x 16 pixels, two by two."""

Load = Callable[[str], Image.Image]
"""The image of a page, by its id; ``PageRenderError`` where the page is to blame that there is none."""


def most_pixels(max_visual_tokens: int) -> int:
    """Pixels of a page image that a model looks at: as policies see it, and more for more visual tokens."""
    return max(DEFAULT_MAX_PIXELS, max_visual_tokens * PIXELS_A_TOKEN)


class PageSource(Protocol):
    """The images of the pages of an index; it can be sent to another process."""

    @property
    def max_pixels(self) -> int:
        """Pixels of an image, at most."""

    @property
    def fingerprint(self) -> str:
        """A hex digest of all that the images depend on."""

    def key(self, page_id: str) -> str:
        """A hex digest of all that the image of a page depends on: under equal keys, images are equal."""

    def size(self, page_id: str) -> tuple[int, int]:
        """Width and height of an image in pixels, without looking at it."""

    def loading(self, work: Path, at_once: int) -> AbstractContextManager[Load]:
        """What loads images, in up to ``at_once`` threads; ``work`` is a folder for what it wants to keep meanwhile."""


class RenderedPages:
    """The images of a folder of pages, as policies see them.

    What the folder has rendered already is used. Other images are removed once they are loaded: those of a large
    corpus would fill a disk.
    """

    def __init__(self, pages_dir: Path, max_visual_tokens: int = 0) -> None:
        """Raises ``InputError`` for a folder that has no images; larger ones are taken for more visual tokens."""
        self._made_of = (pages_dir, max_visual_tokens)
        self.max_pixels = most_pixels(max_visual_tokens)
        try:
            self._images = PageImages(pages_dir, max_pixels=self.max_pixels)
        except InputError as error:
            raise InputError(f"--kind late looks at page images: {error}") from error

    def __reduce__(self) -> tuple[type[RenderedPages], tuple[Path, int]]:
        return RenderedPages, self._made_of

    @cached_property
    def fingerprint(self) -> str:
        """See :class:`PageSource`."""
        digest = sha256()
        for page_id in self._images.page_ids():
            digest.update(f"{page_id}\0{self.key(page_id)}\n".encode())
        return digest.hexdigest()

    def key(self, page_id: str) -> str:
        """See :class:`PageSource`."""
        return self._images.key(page_id)

    def size(self, page_id: str) -> tuple[int, int]:
        """See :class:`PageSource`."""
        return self._images.size(page_id)

    @contextmanager
    def loading(self, work: Path, at_once: int) -> Iterator[Load]:
        """See :class:`PageSource`; each thread has a process that renders."""
        renderers = RendererPool(at_once)
        passing = self._images.elsewhere(work / "images", renderers)

        def load(page_id: str) -> Image.Image:
            if self._images.kept(page_id):
                return self._images.load(page_id)
            image = passing.load(page_id)
            passing.path(page_id).unlink(missing_ok=True)
            return image

        try:
            yield load
        finally:
            renderers.stop()
