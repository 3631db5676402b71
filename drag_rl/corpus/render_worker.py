"""Renders pages of PDFs and image files in a process that may be killed; ``drag_rl.corpus.renderer`` starts it.

MuPDF cannot be interrupted and holds Python's lock, and a small file can ask for hours or for all memory. So the kernel
ends this process when a page takes more processor time than it may, and refuses it more memory. Requests and replies
are JSON: a worker taken over by a hostile PDF can send nothing that acts.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from drag_rl.corpus.image_pages import is_image, read_page_image
from drag_rl.corpus.render_request import Reply, Request, fitting_scale
from drag_rl.corpus.sources import PDF_ERRORS, UnreadablePdfError, one_line, open_pdf
from drag_rl.files.manifest import sha256_file
from drag_rl.image_file import ImageFileError
from drag_rl.mupdf import pymupdf

OPEN_DOCUMENTS = 4
"""Number of PDFs that are held open at a time."""


class Documents:
    """Keeps the PDFs that were read last open."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def get(self, pdf: str, sha256: str) -> Any:
        """The open PDF, checked when it is opened; raises ``OSError``, ``UnreadablePdfError``, ``_ChangedError``."""
        key = pdf, sha256
        if key not in self._open:
            if sha256_file(Path(pdf)) != sha256:
                raise _ChangedError
            self._open[key] = open_pdf(Path(pdf))
            if len(self._open) > OPEN_DOCUMENTS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(key)
        return self._open[key]


class _ChangedError(Exception):
    """The file has changed since it was ingested."""


def answer(request: Request, documents: Documents, cpu_s: float) -> Reply:
    """Write the PNG of a page; never raises for what is in its file.

    Opening the file, and the page itself, may each take ``cpu_s`` of processor time.
    """
    advice = "put it back or run drag ingest again"
    try:
        with _processor_time(cpu_s):
            opened = (
                _image(request) if is_image(request.file) else documents.get(request.file, request.sha256)
            )
    except _ChangedError:
        problem = f"{request.file}: has changed since it was ingested; {advice}"
        return Reply(problem=problem, of_the_page=False)
    except OSError as error:
        return Reply(problem=f"{request.file}: {error.strerror}; {advice}", of_the_page=False)
    except UnreadablePdfError as error:
        return Reply(problem=f"{request.file}: {error}; {advice}", of_the_page=False)
    try:
        with _processor_time(cpu_s):
            image = _picture(opened, request) if isinstance(opened, Path) else _render(opened, request)
            image.save(request.target, format="PNG")
    except OSError as error:
        return Reply(problem=f"{request.target}: cannot be written ({one_line(error)})", of_the_page=False)
    except ImageFileError as error:
        return Reply(problem=error.reason)
    except PDF_ERRORS as error:
        return Reply(problem=one_line(error))
    return Reply()


def _image(request: Request) -> Path:
    """The image file, checked; raises ``OSError`` and ``_ChangedError``."""
    if sha256_file(Path(request.file)) != request.sha256:
        raise _ChangedError
    return Path(request.file)


def _picture(path: Path, request: Request) -> Image.Image:
    image = read_page_image(path, request.page_number)
    scale = fitting_scale(image.width, image.height, request.dpi, request.max_pixels)
    size = math.ceil(image.width * scale), math.ceil(image.height * scale)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for box in request.boxes:
        _blank(draw, [side * scale for side in box])
    return image


def _render(document: Any, request: Request) -> Image.Image:
    page = document.load_page(request.page_number - 1)
    scale = fitting_scale(page.rect.width, page.rect.height, request.dpi, request.max_pixels)
    pixmap = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False)
    image = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)
    draw = ImageDraw.Draw(image)
    for box in request.boxes:
        _blank(draw, pymupdf.Rect(box) * page.rotation_matrix * scale)
    return image


def _blank(draw: ImageDraw.ImageDraw, box: Sequence[float]) -> None:
    x0, y0, x1, y1 = box
    draw.rectangle((math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)), fill="white")


@contextmanager
def _processor_time(seconds: float) -> Iterator[None]:
    """End this process by SIGPROF when the block takes more; the clock does not count while others compute."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(pipe: Connection, cpu_s: float) -> None:
    """Answer requests until the other end is gone; the first message says that we are ready."""
    documents = Documents()
    try:
        pipe.send_bytes(b"{}")
        while True:
            reply = answer(Request(**json.loads(pipe.recv_bytes())), documents, cpu_s)
            message = {"problem": reply.problem, "of_the_page": reply.of_the_page}
            pipe.send_bytes(json.dumps(message).encode())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def main() -> None:
    """Serve a pipe: the arguments are its file descriptor, and the limits of memory (bytes) and of time (seconds)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor, memory_bytes, cpu_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    # Beside what the libraries have taken already: numerical ones reserve some for every core of the machine.
    limit = _address_space() + memory_bytes
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(most, limit), most)
    )
    warnings.filterwarnings("ignore", module=r"PIL\.")
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    serve(Connection(descriptor), cpu_s)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
