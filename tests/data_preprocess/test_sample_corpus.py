"""The sample corpus: real manuals, the questions they print, and how hard those are to find."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pymupdf
import pytest
from printed_manuals import ingest

from data_preprocess.build import BuildOptions, build_questions
from data_preprocess.printed import key_of
from data_preprocess.sample_corpus import MANUALS, STAGE, fetch_manuals, use_own
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.sources import open_pdf
from drag_rl.errors import InputError
from drag_rl.manifest import write_manifest
from drag_rl.questions import read_questions
from drag_rl.retrieval import SearchIndex
from drag_rl.retrieval.build import IndexOptions, build_index
from drag_rl.types import best_rank

PRINTED = {
    "R-FAQ": 75,
    "debian-faq": 120,
    "goldencheetah-faq": 47,
    "grace-faq": 59,
    "nut-faq": 45,
    "pyx-faq": 42,
    "simh-faq": 31,
    "xts-faq": 12,
}
"""The questions that each list prints."""


def test_names_are_stable_and_each_manual_has_its_own() -> None:
    names = [manual.name for manual in MANUALS]
    assert len(set(names)) == len(names)
    assert set(PRINTED) <= {manual.name for manual in MANUALS if not manual.only_full}


def test_a_folder_of_ones_own_is_linked(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "deep").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no"):
        use_own(tmp_path, own)
    with pytest.raises(InputError, match="no such folder"):
        use_own(tmp_path, tmp_path / "nowhere")
    pymupdf.open().new_page().parent.save(own / "deep" / "a.pdf")
    assert use_own(tmp_path, own) == 1 and use_own(tmp_path, own) == 1
    assert (tmp_path / "pdfs" / "deep" / "a.pdf").exists()


def test_files_of_someone_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "thesis.pdf").write_bytes(b"mine")
    for take in (lambda: fetch_manuals(tmp_path, "small"), lambda: use_own(tmp_path, tmp_path / "pdfs")):
        with pytest.raises(InputError, match="choose another --data-dir"):
            take()
    assert (tmp_path / "pdfs" / "thesis.pdf").read_bytes() == b"mine"


def test_without_the_tools_a_folder_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"apt-get is not installed here.*--pdf-dir"):
        fetch_manuals(tmp_path, "small")


def test_a_corpus_of_an_older_version_is_fetched_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    names = [f"{manual.name}.pdf" for manual in MANUALS if not manual.only_full]
    (tmp_path / "pdfs").mkdir()
    sha256 = {}
    for name in names:
        (tmp_path / "pdfs" / name).write_bytes(name.encode())
        sha256[name] = hashlib.sha256(name.encode()).hexdigest()

    def present(count: int) -> None:
        config = {"size": "small", "sha256": dict(list(sha256.items())[:count])}
        write_manifest(tmp_path / "pdfs", stage=STAGE, fingerprint="", config=config)

    present(len(names))
    assert not fetch_manuals(tmp_path, "small")[1]
    (tmp_path / "pdfs" / names[-1]).unlink()
    present(len(names) - 1)
    with pytest.raises(InputError, match="apt-get is not installed"):
        fetch_manuals(tmp_path, "small")


@pytest.mark.slow
def test_the_sample_corpus_gives_its_printed_questions(tmp_path: Path) -> None:
    first, fetched = fetch_manuals(tmp_path, "small")
    assert fetched and fetch_manuals(tmp_path, "small") == (first, False)
    damaged = tmp_path / "pdfs" / "R-FAQ.pdf"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    again, fetched = fetch_manuals(tmp_path, "small")
    assert fetched and again.config == first.config
    for name, sha256 in again.config["sha256"].items():
        assert hashlib.sha256((tmp_path / "pdfs" / name).read_bytes()).hexdigest() == sha256
    assert all((tmp_path / path).stat().st_size > 0 for path in again.config["licences"].values())

    # The lists of questions alone: few pages, so the hardness is that of finding the words.
    for path in (tmp_path / "pdfs").glob("*.pdf*"):
        if path.name.split(".")[0] not in PRINTED:
            path.unlink()
    pages_dir, pool = ingest(tmp_path / "pdfs", tmp_path / "pages"), tmp_path / "pool"
    manifest = build_questions(pages_dir, pool, tmp_path / "questions", BuildOptions())
    questions = read_questions(tmp_path / "questions" / "questions.test.parquet")
    before = {page.page_id: page.text for page in load_pages(pages_dir)}
    after = {page.page_id: page.text for page in load_pages(pool)}
    by_document = Counter[str]()
    for question in questions:
        first_page = question.gold_page_ids[0]
        by_document[first_page.split("#")[0]] += 1
        assert key_of(question.text) in key_of(before[first_page])
        assert len(after[first_page]) < len(before[first_page])
    assert by_document == PRINTED
    assert manifest.counts["questions_train"] == 0
    outline = [
        title for _, title, _ in open_pdf(tmp_path / "pdfs" / "R-FAQ.pdf").get_toc() if title.endswith("?")
    ]
    assert len(outline) == 75

    build_index(pool, tmp_path / "index", IndexOptions())
    index = SearchIndex.load(tmp_path / "index", pool)
    ranks = [
        best_rank(index.search(question.text, 1, question.gold_page_ids, snippet_chars=0).gold_ranks)
        for question in questions
    ]
    recall = {
        cutoff: sum(rank is not None and rank <= cutoff for rank in ranks) / len(ranks) for cutoff in (1, 10)
    }
    assert 0.45 < recall[1] < 0.65 and 0.75 < recall[10] < 0.92
