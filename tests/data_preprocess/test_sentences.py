"""A sentence becomes a question only if taking it away leaves the page without it, in text and in image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed_manuals import FILLER, HEIGHT, Manual, ingest

from data_preprocess.build import BuildOptions, build_questions
from data_preprocess.document_questions import SentenceOptions
from data_preprocess.printed import key_of
from data_preprocess.sentences import MAX_WORDS, MIN_WORDS, askable_sentences
from drag_rl.corpus.images import PageImages
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.redactions import read_redactions
from drag_rl.files.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.types import Question

OPTIONS = BuildOptions(sentences=SentenceOptions(limit=2))
TREES = [
    "As follows. Graphs of trees are drawn from the root to the",
    "leaves and never the other way round. See below.",
]
TWICE = "Everything that is printed on two pages has no one answer."
KEPT = ["Use it.", "Is this a sentence that anybody would ever ask for?", TWICE]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sentences")
    (folder / "pdfs").mkdir()
    sections = [("1 Drawing things", [*TREES, *KEPT]), ("2 Saving things", [*["x = 1"] * 40, TWICE])]
    Manual(sections, {}, "Head").save(folder / "pdfs" / "book.pdf")
    faq = [(f"{n} How do I fix {chr(96 + n) * 4}?", FILLER[:3]) for n in range(1, 13)]
    Manual(faq, {}, "Answers").save(folder / "pdfs" / "answers.pdf")
    ingest(folder / "pdfs", folder / "pages")
    build_questions(folder / "pages", folder / "pool", folder / "questions", OPTIONS)
    return folder


def asked(folder: Path) -> list[Question]:
    return [
        question
        for path in sorted(folder.glob("questions.*.parquet"))
        for question in read_questions(path)
        if question.data_source == "sentence"
    ]


def test_a_sentence_over_two_lines_is_asked_and_gone_from_its_page(built: Path) -> None:
    (question,) = asked(built / "questions")
    assert (
        question.text
        == "Graphs of trees are drawn from the root to the leaves and never the other way round."
    )
    (page_id,) = question.gold_page_ids
    assert question.question_id == f"book/sentence/{int(page_id.partition('#')[2]):04d}"
    texts = [
        {page.page_id: page.text for page in load_pages(built / name)}[page_id] for name in ("pages", "pool")
    ]
    before, after = map(key_of, texts)
    sentence = key_of(question.text)
    assert before.replace(sentence, "").replace("1drawingthings", "").replace("2savingthings", "") == after
    assert all(line in texts[1] for line in ["As follows.", "See below.", *KEPT])


def test_it_is_blank_in_the_image_and_its_neighbour_is_not(built: Path) -> None:
    (question,) = asked(built / "questions")
    (page_id,) = question.gold_page_ids
    *_, first, second = read_redactions(built / "pool")[page_id]
    image = np.asarray(PageImages(built / "pool").load(page_id).convert("L"))
    plain = np.asarray(PageImages(built / "pages").load(page_id).convert("L"))
    scale = image.shape[0] / HEIGHT
    for box in (first, second):
        area = tuple(slice(int(box[a] * scale) + 1, int(box[b] * scale) - 1) for a, b in ((1, 3), (0, 2)))
        assert image[area].std() == 0 and plain[area].std() > 10
    beside = (slice(int(second[1] * scale), int(second[3] * scale)), slice(int(second[2] * scale) + 4, None))
    assert (image[beside] == plain[beside]).all() and plain[beside].std() > 5


def test_lists_of_questions_and_repeated_sentences_are_left_alone(built: Path) -> None:
    counts = read_manifest(built / "questions").counts
    assert counts["dropped_sentence_twice_or_not_printed"] >= 1
    assert not [question for question in asked(built / "questions") if "answers" in question.question_id]


def test_none_unless_asked_for_and_never_more_than_asked_for(built: Path, tmp_path: Path) -> None:
    for limit in (0, 1):
        options = replace(OPTIONS, sentences=SentenceOptions(limit=limit))
        build_questions(built / "pages", tmp_path / "pool", tmp_path / "questions", options)
        assert len(asked(tmp_path / "questions")) == limit


@given(st.text(alphabet="Ab. \n,x1", max_size=200))
def test_what_is_askable_is_printed_whole_on_one_line(text: str) -> None:
    for sentence in askable_sentences(text, "en"):
        assert sentence in " ".join(text.split()) and "\n" not in sentence
        assert MIN_WORDS <= len(sentence.split()) <= MAX_WORDS and sentence.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "Package structure\nThe sources of a package are in its own folder.",  # a heading above
        "the sources of a package are in its own folder.",
        "The sources of a package are in its own folder",
        "Set x[1] <- 2 and y[2] <- 3 in the list.",
    ],
)
def test_what_is_no_whole_sentence_of_words_is_not_askable(text: str) -> None:
    assert askable_sentences(text, "en") == []
