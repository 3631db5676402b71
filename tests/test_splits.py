"""Documents, never questions, are split; held-out questions are not trained on in other words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import page_of

from drag_rl.corpus.copies import copies
from drag_rl.errors import InputError
from drag_rl.splits import SPLITS, document_of, split_documents, split_questions
from drag_rl.types import Page, Question

counts_strategy = st.dictionaries(
    st.text(alphabet="abc#", min_size=1, max_size=4), st.integers(1, 60), min_size=1
)
SHARES = {"val": 0.1, "test": 0.2}


def ask(question_id: str, text: str, doc_id: str) -> Question:
    return Question(question_id=question_id, text=text, gold_page_ids=(f"{doc_id}#1",))


@given(counts_strategy, st.integers(0, 5))
def test_every_document_has_one_split_and_training_keeps_one(counts: dict[str, int], seed: int) -> None:
    documents = split_documents(counts, SHARES, seed, {})
    assert documents.keys() == counts.keys() and set(documents.values()) <= set(SPLITS)
    assert "train" in documents.values()
    if len(counts) >= 3:
        assert set(documents.values()) == set(SPLITS)
    reordered = dict(sorted(counts.items(), reverse=True))
    assert split_documents(reordered, SHARES, seed, {}) == documents
    for split, share in SHARES.items():
        sizes = [counts[doc_id] for doc_id, given in documents.items() if given == split]
        assert len(sizes) <= 1 or sum(sizes) <= 1.5 * share * sum(counts.values())


@given(counts_strategy, st.integers(0, 5))
def test_fixed_documents_stay_where_they_are(counts: dict[str, int], seed: int) -> None:
    first = sorted(counts)[0]
    documents = split_documents(counts, SHARES, seed, {first: "test", "not there": "val"})
    assert [doc_id for doc_id, split in documents.items() if split == "test"] == [first]


@given(counts_strategy, st.integers(0, 5), st.sampled_from([(0.0, 1.0), (1.0, 0.0), (0.3, 0.7), (0.9, 0.1)]))
def test_shares_that_are_everything_leave_nothing_to_training(
    counts: dict[str, int], seed: int, shares: tuple[float, float]
) -> None:
    val, test = shares
    documents = split_documents(counts, {"val": val, "test": test}, seed, {})
    wanted = {split for split, share in (("val", val), ("test", test)) if share}
    assert documents.keys() == counts.keys() and set(documents.values()) <= wanted
    if len(counts) > 1:
        assert set(documents.values()) == wanted


@given(
    counts_strategy, st.integers(0, 5), st.lists(st.sets(st.text("abc#", min_size=1, max_size=4)), max_size=3)
)
def test_copies_of_a_document_are_in_one_split(
    counts: dict[str, int], seed: int, groups: list[set[str]]
) -> None:
    apart = [group - set().union(*groups[:n]) for n, group in enumerate(groups)]
    documents = split_documents(counts, SHARES, seed, {}, [group for group in apart if group])
    assert documents.keys() == counts.keys()
    for group in apart:
        assert len({documents[doc_id] for doc_id in group if doc_id in counts}) <= 1
    if not any(len(group & counts.keys()) > 1 for group in apart):
        assert set(documents.values()) == set(split_documents(counts, SHARES, seed, {}).values())


def test_copies_follow_the_one_that_is_fixed() -> None:
    counts = dict.fromkeys("abcdef", 5)
    documents = split_documents(counts, SHARES, 0, {"b": "test"}, [{"b", "f"}])
    assert [doc_id for doc_id, split in documents.items() if split == "test"] == ["b", "f"]
    with pytest.raises(
        InputError, match="documents 'b' and 'f' are copies of each other; give both to test or val"
    ):
        split_documents(counts, SHARES, 0, {"b": "test", "f": "val"}, [{"b", "f"}])


def long_page(doc_id: str, number: int, text: str, sha256: str = "") -> Page:
    return replace(page_of(doc_id, number, text * 100 if text else ""), source_sha256=sha256)


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        (
            [long_page("a", 1, "", "same"), long_page("b", 1, "", "same"), long_page("c", 1, "", "other")],
            [{"a", "b"}],
        ),
        ([replace(long_page(doc_id, 1, "", "ocr"), source_file="") for doc_id in "abc"], []),
        ([long_page("a", 1, "One. "), long_page("b", 1, "ONE "), long_page("c", 1, "Two. ")], [{"a", "b"}]),
        ([long_page(d, n, f"{n} ") for d in "ab" for n in range(4 if d == "a" else 9)], [{"a", "b"}]),
        ([long_page(d, n, f"{n if n < 4 else d + str(n)} ") for d in "ab" for n in range(9)], []),
        (
            [long_page(d, n, f"{n if n < 5 else d + str(n)} ") for d in "abc" for n in range(9)],
            [{"a", "b", "c"}],
        ),
        ([page_of(doc_id, 1, "This page is left blank.") for doc_id in "abc"], []),
    ],
    ids=["bytes", "one OCR file", "words", "a part", "few common pages", "editions", "short pages"],
)
def test_documents_that_are_one_under_several_names(pages: list[Page], found: list[set[str]]) -> None:
    assert copies(pages) == found


def test_shares_of_nothing_take_nothing() -> None:
    assert set(split_documents({"a": 5, "b": 5}, {"val": 0, "test": 0}, 0, {}).values()) == {"train"}


@given(
    st.lists(st.tuples(st.text(alphabet="ab ", min_size=1, max_size=6), st.sampled_from("xyz")), min_size=1)
)
def test_no_question_of_a_held_out_split_is_trained_on(rows: list[tuple[str, str]]) -> None:
    questions = [ask(f"q{n}", text, doc_id) for n, (text, doc_id) in enumerate(rows)]
    documents = {"x": "train", "y": "val", "z": "test"}
    splits, dropped = split_questions(questions, documents, seed=1)
    assert sum(map(len, splits.values())) + sum(dropped.values()) == len(questions)
    for split, kept in splits.items():
        assert all(documents[document_of(question)] == split for question in kept)
    held_out = {frozenset(question.text.split()) for question in splits["val"] + splits["test"]}
    assert not any(
        frozenset(question.text.split()) in held_out - {frozenset()} for question in splits["train"]
    )


def test_near_duplicates_are_dropped_and_counted() -> None:
    questions = [
        ask("t", "How can I save all of my work in R?", "test"),
        ask("a", "how can I save all of my work in R, then?", "train"),
        ask("b", "How can I load a file?", "train"),
    ]
    splits, dropped = split_questions(questions, {"test": "test", "train": "train"}, seed=0)
    assert [question.question_id for question in splits["train"]] == ["b"]
    assert dropped == {"train_near_duplicate_of_held_out": 1}
