"""A world that can be searched by eye alone: pages of symbols, questions that name them, and a model that learns both.

56 symbols are random patterns of 32 x 32 pixels. A page shows five of them on a grid of 5 x 5 places, has no text, and
is a page of a PDF like any other. A question names four of them, and one page of all shows those four. The pages of
``held-out`` show combinations that no page of ``train`` shows.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.mupdf import pymupdf
from drag_rl.questions import write_questions
from drag_rl.types import Question

ROOT = Path(__file__).resolve().parent.parent
SYMBOLS = 56
SHOWN = 5
NAMED = 4
PLACES = 5
"""Rows and columns of a page."""
CELL_PIXELS = 32
"""Of a place, and of an image token of the model."""
CELL_POINTS = CELL_PIXELS * 72 / 96
PAGES = {"train": 1500, "held-out": 150}
QUESTIONS = {"train": 3, "held-out": 1}
"""Of each page, at most."""
SPLITS = {"train": "train", "held-out": "val"}
NAMES = (  # noqa: SIM905 (a list of 56 strings would be a page long)
    "amber birch cedar delta ember fjord grove heron iris jade kelp lotus maple north olive pearl quartz raven sable "
    "tulip umber viola willow xenon yarrow zebra acorn basil coral daisy elder fern ginger hazel indigo juniper kiwi "
    "lilac mango nectar orchid poppy quince rose saffron thyme urchin velvet walnut yew zinnia almond bamboo clover "
    "dahlia ebony"
).split()
TRAINING = (
    "lora.r=0",
    "train_vision_tower=true",
    "loss.temperature=0.1",
    "learning_rate=2e-3",
    "projection_learning_rate=2e-3",
    "max_grad_norm=1.0",
    "batch_size=32",
    "warmup_steps=20",
    "epochs=1000",
    "max_steps=300",
    "evaluation.steps=50",
    "evaluation.questions=150",
    "evaluation.pages=150",
    "save_steps=150",
    "logging_steps=10",
)
"""Options with which a tiny model of random weights learns to see: ``bash scripts/run_retriever.sh ...``.

What is ranked in evaluations are the held-out pages, all of them."""

Place = tuple[int, int]
"""Row and column, from 0 at the top left."""


@cache
def symbol(name: str) -> Image.Image:
    """The pattern of a symbol: 8 x 8 black and white squares of 4 x 4 pixels."""
    bits = np.random.default_rng(NAMES.index(name)).integers(0, 2, (8, 8), dtype=np.uint8)
    return Image.fromarray(bits.repeat(4, 0).repeat(4, 1) * 255).convert("RGB")


def page_image(places: Mapping[str, Place]) -> Image.Image:
    """What a page looks like, drawn without a PDF."""
    page = Image.new("RGB", (PLACES * CELL_PIXELS, PLACES * CELL_PIXELS), "white")
    for name, (row, column) in places.items():
        page.paste(symbol(name), (column * CELL_PIXELS, row * CELL_PIXELS))
    return page


def draw_pages(counts: Mapping[str, int] = PAGES) -> dict[str, list[dict[str, Place]]]:
    """Document -> for each of its pages, the symbols on it and their places; no set of symbols twice."""
    draw, seen = random.Random(0), set()
    documents: dict[str, list[dict[str, Place]]] = {}
    for document, count in counts.items():
        documents[document] = []
        while len(documents[document]) < count:
            names = frozenset(draw.sample(NAMES, SHOWN))
            if names not in seen:
                seen.add(names)
                places = draw.sample(
                    [(row, column) for row in range(PLACES) for column in range(PLACES)], SHOWN
                )
                documents[document].append(dict(zip(sorted(names), places, strict=True)))
    return documents


def make_world(folder: Path, counts: Mapping[str, int] = PAGES) -> Path:
    """``pdfs``, ``pages``, ``questions.{train,val}.parquet``, and ``places.json``: page id -> symbol -> place."""
    documents = draw_pages(counts)
    pdfs = folder / "pdfs"
    pdfs.mkdir(parents=True)
    for document, pages in documents.items():
        with pymupdf.open() as pdf:
            images: dict[str, int] = {}
            for places in pages:
                page = pdf.new_page(width=PLACES * CELL_POINTS, height=PLACES * CELL_POINTS)
                for name, (row, column) in places.items():
                    corner = (column * CELL_POINTS, row * CELL_POINTS)
                    box = pymupdf.Rect(*corner, corner[0] + CELL_POINTS, corner[1] + CELL_POINTS)
                    if name in images:
                        page.insert_image(box, xref=images[name])
                    else:
                        pixels = pymupdf.Pixmap(pymupdf.csRGB, *symbol(name).size, symbol(name).tobytes(), 0)
                        images[name] = page.insert_image(box, pixmap=pixels)
            pdf.save(pdfs / f"{document}.pdf", deflate=True)
    ingest_pdfs(pdfs, folder / "pages", ReadOptions(ocr="off"))
    named = Counter(
        names
        for pages in documents.values()
        for places in pages
        for names in combinations(sorted(places), NAMED)
    )
    places_of = {}
    draw = random.Random(1)
    for document, pages in documents.items():
        questions = []
        for number, places in enumerate(pages, start=1):
            page_id = f"{document}#{number}"
            places_of[page_id] = places
            alone = [names for names in combinations(sorted(places), NAMED) if named[names] == 1]
            for names in draw.sample(alone, min(len(alone), QUESTIONS[document])):
                question = Question(
                    question_id=f"{page_id} {' '.join(names)}",
                    text=" ".join(draw.sample(names, NAMED)),
                    gold_page_ids=(page_id,),
                    answers=(),
                    data_source="symbols",
                )
                questions.append(question)
        split = SPLITS[document]
        write_questions(folder / f"questions.{split}.parquet", questions, split)
    (folder / "places.json").write_text(json.dumps(places_of))
    return folder


def make_small_world(folder: Path) -> Path:
    """The same with few pages: too few to learn from."""
    return make_world(folder, {"train": 40, "held-out": 10})


def new_model(folder: Path) -> Path:
    """A tiny retriever model of random weights."""
    from drag_rl.models.tiny import build_tiny
    from drag_rl.retrieval.late.new_model import create_retriever_model

    build_tiny(folder / "tiny")
    create_retriever_model(str(folder / "tiny"), folder / "untrained")
    return folder / "untrained"


def run_script(
    folder: Path, run: Path, *options: str, timeout_s: float = 900, **env: str
) -> subprocess.CompletedProcess[str]:
    """``scripts/run_retriever.sh`` on the world in ``folder``."""
    environment = {
        **os.environ,
        "MODEL": str(folder / "untrained"),
        "PAGES": str(folder / "pages"),
        "TRAIN": str(folder / "questions.train.parquet"),
        "RUN": str(run),
        "HARDWARE": "cpu",
        **env,
    }
    command = ["bash", str(ROOT / "scripts" / "run_retriever.sh"), *options]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def train_world(folder: Path) -> Path:
    """A whole world in ``folder`` with a model that has learnt to see, ``folder/run/model``."""
    make_world(folder)
    new_model(folder)
    # One thread, as docs/experiments.md has it: two take nearly twice the processor time, which another test needs.
    done = run_script(folder, folder / "run", *TRAINING, timeout_s=1700, OMP_NUM_THREADS="1")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return folder


def curve(run: Path, name: str) -> dict[int, float]:
    """A logged value of a run by step, such as ``val/ndcg@5``."""
    found = {}
    for path in sorted((run / "metrics").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if name in row["data"]:
                found[row["step"]] = row["data"][name]
    return found


if __name__ == "__main__":
    train_world(Path(sys.argv[1]))
