"""From PDFs to questions: the right gold pages, nothing that gives them away, every drop with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pymupdf
import pytest
from printed_manuals import FILLER, HEIGHT, LEFT, Manual, Section, ingest
from tiny_corpus import Searching

from data_preprocess.build import BuildOptions, app, build_questions
from data_preprocess.index_terms import read_index
from data_preprocess.kinds import Kind
from data_preprocess.outline import read_outline
from data_preprocess.page_kinds import listing_pages
from data_preprocess.printed import key_of
from drag_rl.console import run_app
from drag_rl.corpus.images import PageImages
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.pool import read_left_out
from drag_rl.corpus.redactions import read_redactions
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.retrieval import build_index
from drag_rl.types import Question

MANUAL: list[Section] = [
    ("1 Introduction", FILLER[:5]),
    ("2 Saving the workspace", FILLER[:50]),  # pages 2 and 3
    ("2.1 Loading old objects", ["As said in Saving the workspace, all is well.", *FILLER[:2]]),
    ("3 Memory", FILLER[:4]),
    ("3.1 Speed of loops", FILLER[:60]),  # fills page 4 to its end, or nearly
    ("Chapter 4 Graphs of trees", FILLER[:3]),
]
TERMS = {
    "loop, slow": ["3.1 Speed of loops"],
    "tree": ["Chapter 4 Graphs of trees", "3 Memory"],
    "%*%": ["3 Memory"],
    "workspace": ["2 Saving the workspace"],
    "restore": ["2.1 Loading old objects"],
}


def faq_sections(count: int = 12) -> list[Section]:
    return [(f"{n} How do I fix problem {chr(96 + n) * 3}?", FILLER[: 3 * n]) for n in range(1, count + 1)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "pdfs").mkdir()
    Manual(MANUAL, TERMS, "The Manual").save(folder / "pdfs" / "manual.pdf")
    Manual([("1 Another thing", FILLER[:40]), ("2 Colours of lines", FILLER[:30])], {}, "Guide").save(
        folder / "pdfs" / "guide.pdf"
    )
    Manual(faq_sections(), {}, "Answers").save(folder / "pdfs" / "answers.pdf")
    ingest(folder / "pdfs", folder / "pages")
    options = BuildOptions(val_docs=("guide",))
    build_questions(folder / "pages", folder / "pool", folder / "questions", options)
    return folder


def questions_of(folder: Path, split: str) -> dict[str, Question]:
    return {question.text: question for question in read_questions(folder / f"questions.{split}.parquet")}


def test_splits_are_documents(built: Path) -> None:
    kinds = {
        split: {
            (question.data_source, question.gold_page_ids[0].split("#")[0]) for question in found.values()
        }
        for split in ("train", "val", "test")
        if (found := questions_of(built / "questions", split))
    }
    assert kinds == {
        "train": {("outline", "manual"), ("index", "manual")},
        "val": {("outline", "guide")},
        "test": {("faq", "answers")},
    }


def test_gold_runs_from_the_heading_to_the_next_one(built: Path) -> None:
    document = pymupdf.open(built / "pdfs" / "manual.pdf")
    starts = {title: number for _, title, number in document.get_toc()}
    train = questions_of(built / "questions", "train")
    saving = train["Saving the workspace"].gold_page_ids
    assert saving == tuple(
        f"manual#{number}"
        for number in range(starts["2 Saving the workspace"], starts["2.1 Loading old objects"] + 1)
    )
    assert len(saving) > 1
    assert train["Speed of loops"].gold_page_ids[0] == f"manual#{starts['3.1 Speed of loops']}"
    assert train["Graphs of trees"].gold_page_ids == (f"manual#{starts['Chapter 4 Graphs of trees']}",)


def test_a_page_that_the_next_heading_begins_is_not_gold(tmp_path: Path) -> None:
    lines_a_page = 40
    sections = [("1 First of all", FILLER[: lines_a_page - 1]), ("2 Second of all", FILLER[:9])]
    Manual(sections, {}, "Head").save(tmp_path / "book.pdf")
    document = pymupdf.open(tmp_path / "book.pdf")
    (_, _, first), (_, _, second) = document.get_toc()
    assert second == first + 1 and "Second" in document[second - 1].get_text().splitlines()[1]
    ingest(tmp_path, tmp_path / "pages")
    build_questions(tmp_path / "pages", tmp_path / "pool", tmp_path / "questions", BuildOptions())
    assert questions_of(tmp_path / "questions", "train")["First of all"].gold_page_ids == (f"book#{first}",)


def test_headings_are_gone_from_texts_and_images_and_nothing_else(built: Path) -> None:
    before = {page.page_id: page for page in load_pages(built / "pages")}
    after = {page.page_id: page for page in load_pages(built / "pool")}
    assert before.keys() == after.keys()
    train = questions_of(built / "questions", "train")
    saving = train["Saving the workspace"].gold_page_ids[0]
    assert "Saving the workspace" in before[saving].text and "Saving the workspace" not in after[saving].text
    loading = train["Loading old objects"].gold_page_ids[0]
    assert "As said in Saving the workspace, all is well." in after[loading].text
    for page_id, page in after.items():
        kept = page.text.split("\n")
        lost = [line for line in before[page_id].text.split("\n") if line not in kept]
        assert all(key_of(line).lstrip("chapter0123456789") for line in lost)
    redactions = read_redactions(built / "pool")
    (box,) = redactions[saving][-1:]
    assert box[0] == pytest.approx(LEFT, abs=4)
    image = np.asarray(PageImages(built / "pool").load(saving).convert("L"))
    plain = np.asarray(PageImages(built / "pages").load(saving).convert("L"))
    scale = image.shape[0] / HEIGHT
    area = tuple(slice(int(box[a] * scale) + 1, int(box[b] * scale) - 1) for a, b in ((1, 3), (0, 2)))
    assert image[area].std() == 0 and plain[area].std() > 10
    assert image.std() > 10


def test_a_long_title_is_gone_from_cross_references_on_its_gold_pages_too(tmp_path: Path) -> None:
    title, mention = "How do I plot a tree", "As told in How do I plot a tree, page 2, all is well."
    sections = [(f"1 {title}", [mention, *FILLER[:80]]), ("2 Loops and speed", [*FILLER[:40], mention])]
    Manual(sections, {}, "Manual").save(tmp_path / "manual.pdf")
    ingest(tmp_path, tmp_path / "pages")
    build_questions(tmp_path / "pages", tmp_path / "pool", tmp_path / "questions", BuildOptions())
    gold = questions_of(tmp_path / "questions", "train")[title].gold_page_ids
    texts = {page.page_id: page.text for page in load_pages(tmp_path / "pool")}
    assert "As told in  page 2, all is well." in texts[gold[0]]
    assert not any(title in texts[page_id] for page_id in gold)
    assert any(mention in text for page_id, text in texts.items() if page_id not in gold)
    assert len(read_redactions(tmp_path / "pool")[gold[0]]) >= 2


def test_contents_and_index_pages_cannot_be_found(built: Path) -> None:
    left_out = read_left_out(built / "pool")
    assert left_out["manual#1"] == "contents" and left_out["answers#1"] == "contents"
    assert list(left_out.values()).count("index") == 1
    build_index(built / "pool", built / "index")
    index = Searching.load(built / "index", built / "pool")
    assert not set(left_out) & set(index.page_ids)
    for split in ("train", "val", "test"):
        for question in questions_of(built / "questions", split).values():
            assert set(question.gold_page_ids) <= set(index.page_ids)


def test_index_terms_have_the_pages_they_link_to(built: Path) -> None:
    document = pymupdf.open(built / "pdfs" / "manual.pdf")
    starts = {title: number for _, title, number in document.get_toc()}
    texts = {page.page_number: page.text for page in load_pages(built / "pages") if page.doc_id == "manual"}
    kinds = listing_pages(document, texts, read_outline(document))
    terms = {term.term: term.page_numbers for term in read_index(document, [n for n in kinds if n > 1])}
    assert terms == {
        term: tuple(sorted({starts[heading] for heading in headings})) for term, headings in TERMS.items()
    }
    train = questions_of(built / "questions", "train")
    assert train["tree"].data_source == "index" and "%*%" not in train


def test_every_drop_is_counted(built: Path) -> None:
    counts = read_manifest(built / "questions").counts
    assert counts["dropped_outline_single_word"] == 2  # Introduction, Memory
    assert counts["dropped_index_no_word"] == 1
    assert counts["questions_test_faq"] == 12 and counts["questions_train_index"] == 4


def test_only_the_kinds_asked_for_are_asked_over_the_same_pages(built: Path, tmp_path: Path) -> None:
    options = BuildOptions(val_docs=("guide",), kinds=(Kind.FAQ, Kind.INDEX))
    manifest = build_questions(built / "pages", tmp_path / "pool", tmp_path / "questions", options)
    kept = {question.data_source for question in questions_of(tmp_path / "questions", "train").values()}
    assert kept == {"index"}
    asked = read_manifest(built / "questions").counts
    outline = sum(asked.get(f"questions_{split}_outline", 0) for split in ("train", "val", "test"))
    assert manifest.counts["dropped_outline_not_asked"] == outline > 0
    assert manifest.counts["questions_test_faq"] == asked["questions_test_faq"]
    assert read_manifest(tmp_path / "pool").fingerprint == read_manifest(built / "pool").fingerprint


def test_the_same_pages_give_the_same_questions(built: Path, tmp_path: Path) -> None:
    options = BuildOptions(val_docs=("guide",))
    again = build_questions(built / "pages", tmp_path / "pool", tmp_path / "questions", options)
    assert again.fingerprint == read_manifest(built / "questions").fingerprint
    assert read_manifest(tmp_path / "pool").fingerprint == read_manifest(built / "pool").fingerprint


def test_a_title_of_two_documents_is_asked_of_none(tmp_path: Path) -> None:
    (tmp_path / "pdfs").mkdir()
    for name in ("one", "two"):
        own = (f"2 Only in {name}", FILLER[:5])
        Manual([("1 Saving your work", FILLER[:9]), own], {}, name).save(tmp_path / "pdfs" / f"{name}.pdf")
    ingest(tmp_path / "pdfs", tmp_path / "pages")
    manifest = build_questions(tmp_path / "pages", tmp_path / "pool", tmp_path / "questions", BuildOptions())
    assert manifest.counts["dropped_outline_in_several_documents"] == 2
    assert sum(manifest.counts[f"questions_{split}"] for split in ("train", "val", "test")) == 2


def test_bad_input_is_named(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"--out-pages .*: would overwrite --pages"):
        build_questions(built / "pages", built / "pages", tmp_path, BuildOptions())
    with pytest.raises(InputError, match=r"--out .*: would overwrite --out-pages"):
        build_questions(built / "pages", tmp_path / "a", tmp_path / "a", BuildOptions())
    with pytest.raises(InputError, match=r"'nobody' is not one of .*answers, guide, manual"):
        build_questions(built / "pages", tmp_path / "a", tmp_path / "b", BuildOptions(test_docs=("nobody",)))
    with pytest.raises(InputError, match="--kind sentence: give --sentences too"):
        build_questions(built / "pages", tmp_path / "a", tmp_path / "b", BuildOptions(kinds=(Kind.SENTENCE,)))
    (tmp_path / "pdfs").mkdir()
    pymupdf.open().new_page().parent.save(tmp_path / "pdfs" / "blank.pdf")
    Manual([], {}, "No bookmarks").save(tmp_path / "pdfs" / "none.pdf")
    ingest(tmp_path / "pdfs", tmp_path / "pages")
    arguments = ["--pages", tmp_path / "pages", "--out-pages", tmp_path / "a", "--out", tmp_path / "b"]
    with pytest.raises(SystemExit) as stop:
        run_app(app, "data_preprocess.build", [str(word) for word in arguments])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("data_preprocess.build: no question is left")
    with (tmp_path / "pdfs" / "none.pdf").open("ab") as file:
        file.write(b"\n% changed")
    with pytest.raises(InputError, match=r"none\.pdf has changed"):
        build_questions(tmp_path / "pages", tmp_path / "a", tmp_path / "b", BuildOptions())
