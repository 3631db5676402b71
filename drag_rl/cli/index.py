"""``drag index``: make the pages of a PAGES_DIR searchable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from drag_rl.files.outputs import refuse_overlap
from drag_rl.retrieval.sparse.bm25 import Method
from drag_rl.retrieval.sparse.build import IndexOptions, build_index

DEFAULTS = IndexOptions()


def index(
    pages: Annotated[Path, typer.Option(help="Pages made by `drag ingest` or `drag data`.")],
    out: Annotated[Path, typer.Option(help="Folder of the index; an older index there is replaced.")],
    stemmer: Annotated[
        str, typer.Option(help="none, or a Snowball language: english, german, ...")
    ] = DEFAULTS.stemmer,
    stopwords: Annotated[
        str, typer.Option(help="none, or a language code: en, de, ...")
    ] = DEFAULTS.stopwords,
    k1: Annotated[float, typer.Option(help="BM25 term-frequency saturation, 0 or more.")] = DEFAULTS.k1,
    b: Annotated[float, typer.Option(help="BM25 length normalisation, 0 to 1.")] = DEFAULTS.b,
    method: Annotated[Method, typer.Option(help="BM25 variant.")] = DEFAULTS.method,
) -> None:
    """Build the BM25 index that searches run against."""
    refuse_overlap({"--out": out}, {"--pages": pages})
    options = IndexOptions(stemmer=stemmer, stopwords=stopwords, k1=k1, b=b, method=method)
    console = Console()
    with console.status(f"Indexing {pages} ..."):
        manifest, built = build_index(pages, out, options)
    if not built:
        console.print(
            f"{out} is up to date: {manifest.counts['pages_indexed']} pages.", markup=False, soft_wrap=True
        )
        return
    console.print(
        f"Indexed {manifest.counts['pages_indexed']} pages into {out} in {manifest.seconds:.1f} s.",
        markup=False,
        soft_wrap=True,
    )
    for name, count in manifest.counts.items():
        if count and name.startswith(("pages_failed", "pages_left_out", "pages_without_text")):
            console.print(f"  {name.removeprefix('pages_').replace('_', ' ')}: {count}")
