"""Labels that another program pickled, as judgements that ``drag data qrels`` reads: ``drag data labels``.

A mapping from a query's id to its documents: one id, several, or ids with grades.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_file
from drag_rl.files.manifest import Manifest, atomic_write, sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.files.plain_pickle import read_plain_pickle

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

STAGE = "pickled_labels"
HEADER = "query-id\tcorpus-id\tscore\n"
"""Of BEIR's judgements, whose ids may hold blanks."""


def convert_labels(labels: Path, out: Path) -> Manifest:
    """Write the judgements of a pickle as lines of query, document and grade. Raises ``InputError``."""
    started = time.monotonic()
    refuse_overlap({"--out": out}, {"--labels": labels})
    claim_file(out, STAGE, "--out")
    found = read_plain_pickle(labels)
    if not isinstance(found, Mapping):
        raise InputError(
            f"--labels {labels}: holds a {type(found).__name__}, not a dict from queries to documents"
        )
    judged = {_id(query, labels): dict(judgements(query, value, labels)) for query, value in found.items()}
    with atomic_write(out) as file:
        file.write(HEADER)
        for query, documents in judged.items():
            file.writelines(f"{query}\t{document}\t{grade}\n" for document, grade in documents.items())
    return write_manifest(
        out,
        stage=STAGE,
        fingerprint=sha256_file(out),
        inputs={str(labels): sha256_file(labels)},
        counts={
            "queries": len(judged),
            "queries_without_documents": sum(not documents for documents in judged.values()),
            "judgements": sum(map(len, judged.values())),
        },
        seconds=time.monotonic() - started,
    )


def judgements(query: Any, value: Any, path: Path) -> Iterator[tuple[str, int]]:
    """The documents of a query and their grades, in the file's order, those of a set sorted."""
    if isinstance(value, Mapping):
        for document, grade in value.items():
            if isinstance(grade, bool) or not isinstance(grade, int | float) or grade != int(grade):
                raise InputError(
                    f"--labels {path}: query {query!r}: grade {str(grade)[:40]!r} of {document!r} is no whole number"
                )
            yield _id(document, path), int(grade)
        return
    several = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    for document in several if isinstance(several, list | tuple) else [several]:
        yield _id(document, path), 1


def _id(value: Any, path: Path) -> str:
    text = str(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, str | int)
        or not text.isprintable()
        or not text.strip()
    ):
        raise InputError(f"--labels {path}: {text[:80]!r} is no id of a query or document")
    return text


@app.command("labels")
def labels_command(
    labels: Annotated[
        Path,
        typer.Option(help="A pickle: a dict from a query's id to its documents' ids, or to ids and grades."),
    ],
    out: Annotated[Path, typer.Option(help="File of judgements for `drag data qrels --qrels`.")],
) -> None:
    """Turn pickled labels into judgements; nothing but plain data is read from the pickle."""
    counts = convert_labels(labels, out).counts
    Console(highlight=False).print(
        f"Wrote {counts['judgements']} judgements of {counts['queries']} queries to {out}"
        f" ({counts['queries_without_documents']} queries without a document).",
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    run_app(app, "data_preprocess.pickled_labels")
