"""The options of commands that read documents: how many at a time, on this machine or on a cluster."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from drag_rl.errors import InputError

MOST = 8
"""Documents that are read at a time without ``--workers``, at most."""

WORKERS = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Documents read at a time on this machine.",
        show_default=f"one for each CPU, at most {MOST}",
    ),
]
RAY = Annotated[
    bool,
    typer.Option(
        "--ray",
        help="Read documents, or pieces of large text files, on all nodes of a Ray cluster, one for each CPU; PDFs, "
        "images and the output must lie where every node sees them.",
    ),
]


def reading_of(workers: int | None, ray: bool) -> dict[str, Any]:
    """The options of ``ingest_documents`` that say so. Raises ``InputError`` if both are given."""
    if not ray:
        return {"workers": workers or min(MOST, os.cpu_count() or 1)}
    if workers is not None:
        raise InputError(
            f"--workers {workers}: is for this machine alone; with --ray each CPU reads a document"
        )
    from drag_rl.corpus.cluster_reading import read_on_cluster

    return {"read": read_on_cluster}
