"""The sample corpus: real manuals, the questions they print, and how hard those are to find."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import pymupdf
import pytest
from printed_manuals import ingest
from tiny_corpus import Searching

from data_preprocess import sample_corpus
from data_preprocess.build import BuildOptions, build_questions
from data_preprocess.printed import key_of
from data_preprocess.sample_corpus import MANUALS, STAGE, Manual, fetch_manuals, use_own
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.sources import open_pdf
from drag_rl.errors import InputError
from drag_rl.files.manifest import write_manifest
from drag_rl.questions import read_questions
from drag_rl.retrieval import build_index
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
    other = tmp_path / "other"
    shutil.copytree(own, other)
    with pytest.raises(InputError, match=r"is a link to .*own; .* remove the link"):
        use_own(tmp_path, other)
    with pytest.raises(InputError, match=r"is a link to .*own; give --pdf-dir .*own again"):
        fetch_manuals(tmp_path, "small")
    assert (tmp_path / "pdfs").resolve() == own


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


DEBIAN = """
case $* in
    *"download "*) : >"${!#}_1_all.deb" ;;
    "-f "*) echo 1 ;;
    "-x "*) package=$(basename "$2" _1_all.deb) && mkdir -p "$3/usr/share/doc/$package"
            echo free >"$3/usr/share/doc/$package/copyright"
            for name in $package $package-2; do echo "%PDF-$name" >"$3/usr/share/doc/$package/$name.pdf"; done ;;
esac
"""


@pytest.fixture
def two_manuals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``data/pdfs`` to fetch to, with stand-ins for Debian's tools, and two manuals in all."""
    for tool in ("apt-get", "dpkg-deb"):
        path = tmp_path / "bin" / tool
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash{DEBIAN}")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    manuals = Manual(package="one", name="one"), Manual(package="one", name="one-2", only_full=True)
    monkeypatch.setattr(sample_corpus, "MANUALS", manuals)
    return tmp_path / "data" / "pdfs"


def test_what_the_user_adds_stays_and_what_was_fetched_goes(two_manuals: Path) -> None:
    data, pdfs = two_manuals.parent, two_manuals
    assert fetch_manuals(data, "full")[1] and not fetch_manuals(data, "full")[1]
    (pdfs / "thesis.pdf").write_bytes(b"mine")
    assert not fetch_manuals(data, "full")[1]
    assert fetch_manuals(data, "small")[1]  # the manual of the other size goes
    assert {path.name for path in pdfs.iterdir()} == {"one.pdf", "thesis.pdf", "manifest.json"}
    assert (pdfs / "thesis.pdf").read_bytes() == b"mine"
    (pdfs / "one-2.pdf").write_bytes(b"mine")
    assert not fetch_manuals(data, "small")[1]
    with pytest.raises(InputError, match=r"holds one-2\.pdf, and no manifest says"):
        fetch_manuals(data, "full")
    assert (pdfs / "one-2.pdf").read_bytes() == b"mine"


def test_a_manual_that_the_user_has_replaced_stays(two_manuals: Path) -> None:
    data, pdfs = two_manuals.parent, two_manuals
    fetch_manuals(data, "small")
    fetched = (pdfs / "one.pdf").read_bytes()
    (pdfs / "one.pdf").write_bytes(b"annotated")
    with pytest.raises(InputError, match=r"one\.pdf: has changed since it was fetched; move it away"):
        fetch_manuals(data, "small")
    assert (pdfs / "one.pdf").read_bytes() == b"annotated"
    (pdfs / "one.pdf").unlink()
    assert fetch_manuals(data, "small")[1] and (pdfs / "one.pdf").read_bytes() == fetched
    (data / "licences" / "one.txt").write_text("edited")  # listed: fetched again with its manual
    (pdfs / "one.pdf").unlink()
    assert fetch_manuals(data, "small")[1]


def test_a_licence_from_elsewhere_stays(two_manuals: Path) -> None:
    (two_manuals.parent / "licences").mkdir(parents=True)
    (two_manuals.parent / "licences" / "one.txt").write_text("mine")
    with pytest.raises(InputError, match=r"licences/one\.txt: was not written by an earlier run"):
        fetch_manuals(two_manuals.parent, "small")
    assert (two_manuals.parent / "licences" / "one.txt").read_text() == "mine"


@pytest.mark.slow
def test_the_sample_corpus_gives_its_printed_questions(tmp_path: Path) -> None:
    first, fetched = fetch_manuals(tmp_path, "small")
    assert fetched and fetch_manuals(tmp_path, "small") == (first, False)
    damaged = tmp_path / "pdfs" / "R-FAQ.pdf"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    with pytest.raises(InputError, match="has changed since it was fetched"):
        fetch_manuals(tmp_path, "small")
    damaged.unlink()
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

    build_index(pool, tmp_path / "index")
    index = Searching.load(tmp_path / "index", pool)
    ranks = [
        best_rank(index.search(question.text, 1, question.gold_page_ids, snippet_chars=0).gold_ranks)
        for question in questions
    ]
    recall = {
        cutoff: sum(rank is not None and rank <= cutoff for rank in ranks) / len(ranks) for cutoff in (1, 10)
    }
    assert 0.45 < recall[1] < 0.65 and 0.75 < recall[10] < 0.92
