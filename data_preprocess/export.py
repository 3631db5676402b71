"""Pages and questions in the layouts that other tools read: ``drag data export``.

``beir`` writes ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``; ``mteb`` parquet files with the card by which
the hub's loaders find them, with page images if they are asked for. Ids are ours: a document is a page.
"""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console

from data_preprocess.question_set import questions_path
from drag_rl.console import run_app
from drag_rl.corpus.images import DEFAULT_MAX_PIXELS, PageImages
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_folder, new_folder
from drag_rl.files.manifest import Manifest, read_manifest, sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.questions import read_questions
from drag_rl.retrieval.readable import ReadablePages
from drag_rl.splits import SPLITS, Split
from drag_rl.types import Question

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

STAGE = "export"
Format = Literal["beir", "mteb"]
SPLIT_NAMES: Mapping[Split, str] = {"train": "train", "val": "dev", "test": "test"}
"""Our splits as these collections call them."""
BATCH_PAGES = 64
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_CORPUS = pa.schema({"id": pa.string(), "text": pa.string()})
_QUERIES = pa.schema({"id": pa.string(), "text": pa.string()})
_QRELS = pa.schema({"query-id": pa.string(), "corpus-id": pa.string(), "score": pa.int32()})

Splits = Mapping[Split, Sequence[Question]]


def export_collection(
    questions_dir: Path,
    pages_dir: Path,
    out: Path,
    layout: Format,
    *,
    images: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Manifest:
    """Write every page that can be found and the questions of every split.

    Raises ``InputError`` for a folder without questions, for a gold page that cannot be found, and if ``out`` holds
    something else.
    """
    started = time.monotonic()
    refuse_overlap({"--out": out}, {"--questions": questions_dir, "--pages": pages_dir})
    claim_folder(out, STAGE)
    if images and layout == "beir":
        raise InputError("--images: a collection of BEIR has none; give --format mteb")
    splits = {
        split: read_questions(questions_path(questions_dir, split))
        for split in SPLITS
        if questions_path(questions_dir, split).is_file()
    }
    if not splits:
        raise InputError(f"--questions {questions_dir}: holds no questions.train, val or test .parquet")
    shown = PageImages(pages_dir, max_pixels=max_pixels) if images else None
    with new_folder(out, STAGE) as folder:
        written: dict[str, None] = {}

        def pages() -> Iterator[tuple[str, str]]:
            for page_id, text in ReadablePages(pages_dir):
                written[page_id] = None
                yield page_id, text

        _LAYOUTS[layout](folder, pages(), splits, shown)
        _check_gold(splits, written)
        digest = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.name} {sha256_file(path)}\n".encode())
        return write_manifest(
            folder,
            stage=STAGE,
            fingerprint=digest.hexdigest(),
            inputs={
                "pages": read_manifest(pages_dir).fingerprint,
                "questions": read_manifest(questions_dir).fingerprint,
            },
            config={"format": layout, "images": images},
            counts={"pages": len(written)}
            | {f"questions_{split}": len(own) for split, own in splits.items()},
            seconds=time.monotonic() - started,
        )


def _check_gold(splits: Splits, written: Mapping[str, None]) -> None:
    for split, questions in splits.items():
        for question in questions:
            for page_id in question.gold_page_ids:
                if page_id not in written:
                    raise InputError(
                        f"{split} question {question.question_id!r}: gold page {page_id!r} is not among --pages, or "
                        "cannot be found"
                    )


def _judgements(questions: Sequence[Question]) -> Iterator[tuple[str, str, int]]:
    for question in questions:
        for page_id, grade in zip(question.gold_page_ids, question.grades, strict=True):
            yield question.question_id, page_id, grade


def _write_beir(
    folder: Path, pages: Iterator[tuple[str, str]], splits: Splits, _images: PageImages | None
) -> None:
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for page_id, text in pages:
            row = {"_id": page_id, "title": "", "text": text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for question in {one.question_id: one for own in splits.values() for one in own}.values():
            row = {"_id": question.question_id, "text": question.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    (folder / "qrels").mkdir()
    for split, questions in splits.items():
        path = folder / "qrels" / f"{SPLIT_NAMES[split]}.tsv"
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            rows.writerow(["query-id", "corpus-id", "score"])
            rows.writerows(_judgements(questions))


def _write_mteb(
    folder: Path, pages: Iterator[tuple[str, str]], splits: Splits, images: PageImages | None
) -> None:
    schema = _with_images(_CORPUS) if images else _CORPUS
    (folder / "corpus").mkdir()
    with pq.ParquetWriter(folder / "corpus" / "test-00000-of-00001.parquet", schema) as writer:
        batch: list[dict[str, object]] = []
        for page_id, text in pages:
            row: dict[str, object] = {"id": page_id, "text": text}
            if images:
                row["image"] = {"bytes": images.shown_path(page_id).read_bytes(), "path": None}
            batch.append(row)
            if len(batch) == BATCH_PAGES:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    for split, questions in splits.items():
        queries = [{"id": one.question_id, "text": one.text} for one in questions]
        judged = [dict(zip(_QRELS.names, row, strict=True)) for row in _judgements(questions)]
        for config, rows, kind in (("queries", queries, _QUERIES), ("qrels", judged, _QRELS)):
            path = folder / config / f"{SPLIT_NAMES[split]}-00000-of-00001.parquet"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, schema=kind), path)
    (folder / "README.md").write_text(_card([SPLIT_NAMES[split] for split in splits]), encoding="utf-8")


def _with_images(schema: pa.Schema) -> pa.Schema:
    """The schema with a column of images, and with the metadata by which ``datasets`` decodes them."""
    features = {name: {"dtype": "string", "_type": "Value"} for name in schema.names} | {
        "image": {"_type": "Image"}
    }
    told = json.dumps({"info": {"features": features}})
    return schema.append(pa.field("image", _IMAGE)).with_metadata({"huggingface": told})


def _card(splits: Sequence[str]) -> str:
    """The front matter by which ``datasets`` and mteb find the parts."""
    lines = ["---", "configs:"]
    for config, own in {"corpus": ["test"], "queries": splits, "qrels": splits}.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in own:
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    return "\n".join([*lines, "---", ""])


_LAYOUTS: dict[Format, Callable[[Path, Iterator[tuple[str, str]], Splits, PageImages | None], None]] = {
    "beir": _write_beir,
    "mteb": _write_mteb,
}


@app.command()
def export(
    questions: Annotated[Path, typer.Option(help="Folder of questions.{train,val,test}.parquet.")],
    pages: Annotated[Path, typer.Option(help="Pages that the questions are asked of.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it is replaced if this command made it.")],
    layout: Annotated[Format, typer.Option("--format", help="Layout of the files.")] = "beir",
    images: Annotated[bool, typer.Option("--images", help="With the image of each page (mteb).")] = False,
) -> None:
    """Write pages and questions as a collection of BEIR, or as a data set that mteb reads."""
    manifest = export_collection(questions, pages, out, layout, images=images)
    Console(soft_wrap=True, highlight=False).print(
        f"{out}: {', '.join(f'{count} {name}' for name, count in manifest.counts.items())}", markup=False
    )


if __name__ == "__main__":
    run_app(app, "data_preprocess.export")
