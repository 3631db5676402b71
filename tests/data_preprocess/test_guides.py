"""Debian's installation guide in six languages: what stands on a page finds it."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

import pymupdf
import pytest
from printed_manuals import ingest
from tiny_corpus import Searching, write_pages

from data_preprocess.debian import DebianPackages
from drag_rl.corpus.pages import load_pages
from drag_rl.retrieval import build_index
from drag_rl.words import UNSPACED

LANGUAGES = {
    "de": {"stemmer": "german", "stopwords": "de"},
    "fr": {"stemmer": "french", "stopwords": "fr"},
    "ru": {"stemmer": "russian", "stopwords": "ru"},
    "zh_CN": {"stemmer": "none", "stopwords": "zh"},
    "ja": {"stemmer": "none", "stopwords": "none"},
    "ko": {"stemmer": "none", "stopwords": "ko"},
}
PACKAGE = "installation-guide-amd64"
FIRST, LAST = 20, 59
"""Pages of each guide that are read, counted from 0: chapters in full sentences."""


@pytest.fixture(scope="module")
def guides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Language -> the texts of some pages."""
    work = tmp_path_factory.mktemp("guides")
    debian = DebianPackages(work, "run these tests where Debian packages can be had")
    debian.unpack(debian.download(PACKAGE), work / "package")
    (work / "pdfs").mkdir()
    for language in LANGUAGES:
        (packed,) = (work / "package").rglob(f"install.{language}.pdf.gz")
        with pymupdf.open(stream=gzip.decompress(packed.read_bytes()), filetype="pdf") as document:
            document.select(range(FIRST, LAST + 1))
            document.save(work / "pdfs" / f"{language}.pdf", garbage=3)
    pages = load_pages(ingest(work / "pdfs", work / "pages"))
    return {language: [page.text for page in pages if page.doc_id == language] for language in LANGUAGES}


def parts_of_sentences(text: str, rng: random.Random) -> list[str]:
    """The first halves of some sentences, on one line, as a user would type them."""
    spaced = not UNSPACED.search(text)
    line = text.replace("\n", " " if spaced else "")
    sentences = [part.strip() for part in re.split(r"[。]|\.\s", line)]
    fitting = [part for part in sentences if (40 if spaced else 16) <= len(part) <= (160 if spaced else 70)]
    halves = [
        " ".join(part.split()[: len(part.split()) // 2]) if spaced else part[: len(part) // 2]
        for part in fitting
    ]
    return rng.sample(halves, min(2, len(halves)))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_half_a_sentence_finds_its_page(guides: dict[str, list[str]], language: str, tmp_path: Path) -> None:
    texts, rng = guides[language], random.Random(0)
    build_index(write_pages(tmp_path / "pages", texts), tmp_path / "index", **LANGUAGES[language])
    index = Searching.load(tmp_path / "index")
    asked = [
        (part, page)
        for page, text in zip(index.page_ids, texts, strict=True)
        for part in parts_of_sentences(text, rng)
    ]
    ranks = [index.search(part, 1, [page_id], snippet_chars=0).gold_ranks[0] for part, page_id in asked]
    found = {
        cutoff: sum(rank is not None and rank <= cutoff for rank in ranks) / len(ranks) for cutoff in (1, 10)
    }
    assert len(ranks) >= 40
    assert found[1] >= 0.6 and found[10] >= 0.93, found
