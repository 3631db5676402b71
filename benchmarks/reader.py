"""What a reader finds by pixels alone, and where it looks.

    python benchmarks/reader.py READER PAGES QUESTIONS.parquet [--scanned] [--font-dir DIR] [--pdf-dir DIR]

READER is the folder of a reader, or `reader` for the one that comes with the package; PAGES a folder of `drag ingest`
or of `data_preprocess.build`. Of the documents with a gold page those pages are ranked that an index holds, by MaxSim
of the question's words, beside bm25 with the text, and chance. In brackets: 95 % intervals of a bootstrap over
questions.

Beside pages as they are: with --scanned, as they come out of a scanner (printed, turned by a degree, blurred, noisy,
JPEG at 100 dpi), and, with --font-dir, their text set anew in its fonts by turns (--fonts: in some of them). With
--pdf-dir, for 200 words of its PDFs that occur once on their page: how much of the word's heat map lies on the word's
box, and on how much of the page that is. --json FILE keeps the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from late import print_table
from PIL import Image, ImageFilter

WORDS, LETTERS = 200, 4
"""Words whose heat maps are looked at, and how long they are at least."""
AT_ONCE = 16
"""Pages that are embedded beside each other."""

Ranks = npt.NDArray[np.int64]
Load = Callable[[str], Image.Image]


def scanned(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A page image at 96 dpi as a scanner at 100 dpi would give its print."""
    size = (round(image.width * 100 / 96), round(image.height * 100 / 96))
    grey = image.convert("L").resize(size, Image.Resampling.BICUBIC)
    turned = grey.rotate(float(generator.uniform(-1, 1)), Image.Resampling.BICUBIC, fillcolor=255)
    seen = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.5)), np.float32)
    worn = 40 + seen * (200 / 255) + generator.normal(0, 6, seen.shape)
    content = io.BytesIO()
    Image.fromarray(np.clip(worn, 0, 255).astype(np.uint8)).save(content, "JPEG", quality=50)
    return Image.open(content).convert("RGB")


def set_anew(text: str, font: Path, generator: np.random.Generator) -> Image.Image:
    """The words of a page in another font."""
    from drag_rl.models.reader.typesetting import Typesetter

    page = Typesetter([font]).page(text.split(), font, generator)
    return Image.open(io.BytesIO(page.get_pixmap(dpi=96).tobytes("png"))).convert("RGB")


def ranks_of(
    embedder: Any, page_ids: list[str], load: Load, texts: list[str], gold: list[list[int]]
) -> Ranks:
    """The best rank of a gold page of each question; pages of equal scores count half."""
    pages = []
    for begin in range(0, len(page_ids), AT_ONCE):
        seen = embedder.embed_pages([load(page_id) for page_id in page_ids[begin : begin + AT_ONCE]])
        pages += [page.vectors for page in seen]
    ranks = []
    for query, own in zip(embedder.embed_queries(texts), gold, strict=True):
        scores = np.array([(query @ page.T).max(axis=1).sum() for page in pages])
        ranks.append(1 + (scores > scores[own].max()).sum())
    return np.array(ranks, np.int64)


def bm25_ranks(retriever: Any, page_ids: list[str], texts: list[str], gold: list[list[int]]) -> Ranks:
    """The same by the text, a page that no word finds at the end."""
    from drag_rl.retrieval.base import Query

    without = frozenset(retriever.pages.page_ids) - set(page_ids)
    queries = [
        Query(text=text, without=without, track=tuple(page_ids[place] for place in own))
        for text, own in zip(texts, gold, strict=True)
    ]
    rankings = asyncio.run(retriever.search(queries, 1))
    found = [[rank for rank in ranking.tracked if rank is not None] for ranking in rankings]
    return np.array([min(own, default=len(page_ids)) for own in found], np.int64)


def printed_once(pdf_dir: Path, generator: np.random.Generator) -> Iterator[tuple[Image.Image, str, Any]]:
    """Pages of PDFs with a word that occurs once on them, and its box in pixels."""
    from drag_rl.models.reader.pages import printed_page
    from drag_rl.models.reader.prepare import opened, pdfs_below

    documents = [opened(path) for path in pdfs_below([pdf_dir])]
    places = [(document, number) for document in documents for number in range(len(document))]
    for place in generator.permutation(len(places)):
        document, number = places[place]
        printed = printed_page(document[number], dpi=96)
        if printed is None:
            continue
        once = [
            at
            for at, key in enumerate(printed.keys)
            if len(key) >= LETTERS and key.isalpha() and printed.keys.count(key) == 1
        ]
        if once:
            at = once[int(generator.integers(len(once)))]
            word = printed.places[at]
            half = word["height"] / 2
            box = (word["x0"], word["y0"] - half, word["x1"], word["y1"] + half)
            yield Image.fromarray(printed.pixels), printed.keys[at], box


def heat_shares(embedder: Any, pdf_dir: Path) -> tuple[npt.NDArray[np.float64], float]:
    """Each word's share of heat on its box, grown by the cells that it touches, and the mean share of the page."""
    from drag_rl.retrieval.late.heat_map import heat_map, share_within

    shares, areas = [], []
    for image, word, box in printed_once(pdf_dir, np.random.default_rng(0)):
        found = heat_map(embedder, image, word)
        _, rows, columns = found.similarity.shape
        wide, tall = image.width / columns, image.height / rows
        left, top, right, bottom = box
        grown = (
            left // wide * wide,
            top // tall * tall,
            (right // wide + 1) * wide,
            (bottom // tall + 1) * tall,
        )
        shares.append(share_within(found.of_word(0), grown, image.size))
        areas.append((grown[2] - grown[0]) * (grown[3] - grown[1]) / (image.width * image.height))
        if len(shares) == WORDS:
            break
    return np.array(shares), float(np.mean(areas))


def main() -> None:
    """Measure, and print a table."""
    import tempfile

    from drag_rl.corpus.images import PageImages
    from drag_rl.questions import read_questions
    from drag_rl.retrieval import build_index, open_retriever
    from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reader")
    parser.add_argument("pages", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--scanned", action="store_true")
    parser.add_argument("--pdf-dir", type=Path)
    parser.add_argument("--font-dir", type=Path)
    parser.add_argument("--fonts", nargs="*", default=["*"], help="patterns of file names")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    embedder = open_multi_vector_embedder(MultiVectorSettings(model=options.reader, dtype=options.dtype))
    images = PageImages(options.pages)
    questions = read_questions(options.questions)
    with tempfile.TemporaryDirectory() as work:
        build_index(options.pages, Path(work) / "bm25")
        by_text = open_retriever(Path(work) / "bm25")
    documents = {page_id.rpartition("#")[0] for question in questions for page_id in question.gold_page_ids}
    page_ids = [page_id for page_id in by_text.pages.page_ids if page_id.rpartition("#")[0] in documents]
    at = {page_id: place for place, page_id in enumerate(page_ids)}
    texts = [question.text for question in questions]
    gold = [[at[page_id] for page_id in question.gold_page_ids] for question in questions]
    generator = np.random.default_rng(0)
    loads: dict[str, Load] = {
        "pixels": images.load,
    }
    if options.scanned:
        loads["pixels, scanned"] = lambda page_id: scanned(images.load(page_id), generator)
    if options.font_dir:
        from drag_rl.models.reader.typesetting import text_fonts

        fonts = [
            font
            for font in text_fonts(options.font_dir)
            if any(fnmatch(font.name, pattern) for pattern in options.fonts)
        ]
        loads["pixels, other fonts"] = lambda page_id: set_anew(
            by_text.pages.text(page_id), fonts[at[page_id] % len(fonts)], generator
        )
    ranks = {name: ranks_of(embedder, page_ids, load, texts, gold) for name, load in loads.items()}
    ranks["bm25, text"] = bm25_ranks(by_text, page_ids, texts, gold)
    figures: dict[str, Any] = {"questions": len(questions), "pages": len(page_ids)}
    lines = []
    for name, found in ranks.items():
        figures[name] = _figures(found)
        hits = [f"{np.mean(found <= k):.3f}" for k in (1, 3, 10)]
        lines.append([name, _mean(1 / found), *hits, f"{np.median(found):.0f}"])
    even = 1 / np.arange(1, len(page_ids) + 1)
    chances = [f"{k / len(page_ids):.3f}" for k in (1, 3, 10)]
    lines.append(["chance, of one page", f"{even.mean():.3f}", *chances, f"{len(page_ids) / 2:.0f}"])
    title = f"{len(questions)} questions, {len(page_ids)} pages of {len(documents)} documents"
    print_table(title, ("", "MRR", "hit@1", "hit@3", "hit@10", "median rank"), lines)
    if options.pdf_dir:
        shares, area = heat_shares(embedder, options.pdf_dir)
        print_table(
            f"heat of {len(shares)} words, on the cells that their boxes touch",
            ("share", "of the page"),
            [[_mean(shares), f"{area:.4f}"]],
        )
        figures["heat"] = {"words": len(shares), "share": round(float(shares.mean()), 4)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _figures(ranks: Ranks) -> dict[str, float]:
    hits = {f"hit@{k}": float(np.mean(ranks <= k)) for k in (1, 3, 10)}
    return {name: round(value, 4) for name, value in {"mrr": float(np.mean(1 / ranks)), **hits}.items()}


def _mean(values: npt.NDArray[np.float64]) -> str:
    """A mean with its interval."""
    from drag_rl.evaluation.bootstrap import intervals

    [interval] = intervals(values[:, None])
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
