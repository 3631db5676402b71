"""Read documents on all nodes of a Ray cluster, as ``drag ingest --ray`` does.

A task reads a few documents as one machine does, in a process that may crash or hang, and leaves what it has read as
parts in the folder of pages, which all nodes see. So a killed run resumes, what a lost node has not finished is read
elsewhere, and the result is that of one machine, to the byte. These are plain tasks, not Ray Data: what is spread is
names of files, and what comes back lies in files already, so that Ray Data would have nothing to carry.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from socket import gethostname
from typing import Any

from drag_rl.cluster import AHEAD_PER_CPU, LOST_TASKS, cause_of, cpus_of, joined_ray
from drag_rl.corpus.image_sources import ImageSource
from drag_rl.corpus.parts import Parts
from drag_rl.corpus.pdf_pages import ReadOptions
from drag_rl.corpus.sources import Source
from drag_rl.corpus.tesseract import read_options
from drag_rl.corpus.worker_pool import Progress, read_documents
from drag_rl.errors import InputError

MAX_BATCH = 8
"""Documents of a task, at most: starting its process takes as long as reading a small one."""
TASKS_PER_CPU = 4
"""Tasks for each CPU where there are enough documents, so that none waits long for the last."""
SHARED_S = 90.0
"""The longest wait until a file that another node has written is seen here; NFS keeps what it knows for a minute."""


def read_on_cluster(folder: Path, sources: Sequence[Source], parts: Parts) -> Iterator[Progress]:
    """Read all documents into ``parts``, one for each CPU of the cluster at a time; see ``worker_pool.read_documents``.

    ``folder`` and the folder of ``parts`` are to be seen by all nodes, by the same paths. Documents are reported as
    their task ends.

    Raises ``InputError`` without Ray or CPUs, for a node that does not see a file or would read it in another way, and
    when what was read cannot be kept; what was kept before stays.
    """
    if not sources:
        return
    ray = joined_ray("--ray")
    cpus = cpus_of(ray)
    parts = replace(parts, folder=parts.folder.absolute())
    key = parts.key(sources[0])
    task = ray.remote(num_cpus=1, max_retries=LOST_TASKS, scheduling_strategy="SPREAD")(read_batch)
    batches = _batches(sources, max(1, min(MAX_BATCH, len(sources) // (TASKS_PER_CPU * cpus))))
    waiting: dict[Any, Sequence[Source]] = {}
    try:
        while True:
            for batch in islice(batches, max(0, AHEAD_PER_CPU * cpus_of(ray) - len(waiting))):
                waiting[task.remote(folder.absolute(), batch, parts, sources[0], key)] = batch
            if not waiting:
                return
            done, _ = ray.wait([*waiting], num_returns=1)
            for result in done:
                wait_until_seen(parts, waiting[result], ray.get(result))
                yield from (Progress(source, 0, 0, True) for source in waiting.pop(result))
    except ray.exceptions.RayError as error:
        raise InputError(f"--ray: documents cannot be read: {cause_of(error)}") from error
    finally:
        for result in waiting:
            ray.cancel(result)


def read_batch(folder: Path, sources: Sequence[Source], parts: Parts, first: Source, key: str) -> str:
    """What a task does on its node; returns the node's name.

    ``key`` is the key of the part of ``first``, the run's first document, where the run was started. What another try
    of this task has read is not read again.

    Raises ``InputError`` if the node does not see a file, or would read it in another way.
    """
    node = gethostname()
    parts = replace(parts, options=_options_here(parts, node))
    if parts.key(first) != key:
        raise InputError(
            f"on node {node}, drag-rl or PyMuPDF has another version than where the run was started; install the same"
        )
    places = [folder, parts.folder, *(folder / file for source in sources for file in _files(source))]
    unseen = next((place for place in places if not place.exists()), None)
    if unseen is not None:
        raise InputError(
            f"on node {node}, there is no {unseen}: with --ray, documents and --out must lie where all nodes see them, "
            "by the same path"
        )
    waiting = [source for source in sources if (found := parts.load(source)) is None or found.given_up]
    for _ in read_documents(folder, waiting, parts, workers=1):
        pass
    return node


def wait_until_seen(parts: Parts, sources: Sequence[Source], node: str, patience_s: float = SHARED_S) -> None:
    """Wait until the parts that a node has written are seen here; raises ``InputError`` if they never are."""
    end_s = time.monotonic() + patience_s
    for source in sources:
        while parts.load(source) is None:
            if time.monotonic() > end_s:
                raise InputError(
                    f"{parts.folder}: what node {node} has read of {source.file} is not seen here: with --ray, "
                    "documents and --out must lie where all nodes see them, by the same path"
                )
            time.sleep(min(1.0, patience_s / 10))


def _options_here(parts: Parts, node: str) -> ReadOptions:
    """The options of reading, with this node's own folder of language files, which must hold the same."""
    options = parts.options
    if not options.tessdata:
        return options
    here = read_options(options.ocr, options.ocr_language)
    if here.tessdata_sha256 != options.tessdata_sha256:
        raise InputError(
            f"on node {node}, Tesseract has no or other files of --ocr-language {options.ocr_language} than where the "
            "run was started; install the same"
        )
    return here


def _files(source: Source) -> Iterable[str]:
    """The files that a document is read from."""
    if not isinstance(source, ImageSource):
        return [source.file]
    return [
        file for image in source.images if not image.problem for file in (image.file, image.text_file) if file
    ]


def _batches(sources: Sequence[Source], size: int) -> Iterator[Sequence[Source]]:
    return (sources[place : place + size] for place in range(0, len(sources), size))
