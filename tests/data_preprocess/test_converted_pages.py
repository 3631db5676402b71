"""Pages are sorted and gold is found in bounded memory, as if all had been in memory at once."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_preprocess import bad_rows, page_matcher, sorted_pages, text_lines
from data_preprocess.answer_gold import find_gold
from data_preprocess.answer_index import UNTELLING, AnswerIndex
from data_preprocess.bad_rows import DroppedRows
from data_preprocess.converted_pages import pages_of_texts, write_text_pages
from data_preprocess.datasets import TextPage
from data_preprocess.open_questions import Fact, OpenQuestion
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.pages import load_pages
from drag_rl.metrics.answers import normalise


def text_page(doc_id: str, number: int, place: int, text: str = "x") -> TextPage:
    return TextPage(doc_id=doc_id, page_number=number, text=text, where=f"corpus line {place}")


keys = st.tuples(
    st.sampled_from(["a", "a b", "B", "10", "9", "ä", "\U0001f600", "\uffee"]), st.integers(1, 3)
)


@settings(max_examples=25)
@given(st.lists(keys, max_size=30), st.integers(1, 3000))
def test_pages_are_sorted_as_in_memory_and_the_first_of_an_id_is_kept(
    given_keys: list[tuple[str, int]], run_chars: int
) -> None:
    pages = [text_page(*key, place) for place, key in enumerate(given_keys, start=1)]
    first: dict[tuple[str, int], TextPage] = {}
    for page in pages:
        first.setdefault((page.doc_id, page.page_number), page)
    twice: list[tuple[TextPage, TextPage]] = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_pages, "RUN_CHARS", run_chars)
        patch.setattr(sorted_pages, "MAX_RUNS", 2)
        out = Path(folder) / "pages"
        found = list(sorted_pages.sorted_pages(pages, out, lambda kept, other: twice.append((kept, other))))
        assert list(Path(folder).iterdir()) == [], "no run is left"
    assert found == [first[key] for key in sorted(first)]
    assert len(twice) == len(pages) - len(first)
    assert all(kept == first[other.doc_id, other.page_number] for kept, other in twice)


def test_what_a_kill_left_of_sorting_goes(tmp_path: Path) -> None:
    left = tmp_path / f".pages.sorting.{'0' * 12}.new"
    left.mkdir()
    rows = DroppedRows()
    write_text_pages(
        tmp_path / "pages",
        pages_of_texts(
            [text_page("b", 1, 1), text_page("a", 1, 2), text_page("b", 1, 3)], tmp_path / "pages", rows
        ),
        {},
        0.0,
    )
    assert [page.page_id for page in load_pages(tmp_path / "pages")] == ["a#1", "b#1"]
    assert not left.exists()
    (problem,) = rows.problems
    assert problem.where == "corpus line 3"
    assert problem.reason == "page 'b#1' is there twice; the one of corpus line 1 is kept"


words = st.sampled_from(["the", "Rotor", "rotor-blade", "9", "a", "Ünder", "blade", "東京", "?"])
texts = st.lists(words, min_size=1, max_size=12).map(" ".join)


@given(st.lists(texts, max_size=6), texts)
def test_answers_are_found_wherever_their_words_stand_together(answers: list[str], text: str) -> None:
    index = AnswerIndex()
    for number, answer in enumerate(answers):
        index.add(number, [answer])
    inside = f" {normalise(text)} "
    assert index.found_in(text) == {
        number
        for number, answer in enumerate(answers)
        if f" {normalise(answer)} " in inside
        and normalise(answer) not in UNTELLING
        and any(sign.isalnum() for sign in answer)
    }


def asked(text: str, *answers: str) -> OpenQuestion:
    return OpenQuestion(
        where="x", split="train", question_id=text, data_source="nq", text=text, answers=answers
    )


def test_an_answer_on_many_pages_is_bounded_and_the_best_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [text_page(f"{n:03}", 1, n, f"In 1969 came number {n}.") for n in range(60)]
    pages += [text_page("moon", 1, 99, "The landing on the moon was in 1969, on the moon.")]
    pages += [text_page("near", 1, 98, "A landing in 1969.")]
    write_text_pages(tmp_path / "pages", pages_of_texts(pages, tmp_path / "pages", DroppedRows()), {}, 0.0)
    monkeypatch.setattr(page_matcher, "COMMON_PAGES", 100)
    questions = [asked("When was the moon landing?", "1969"), asked("Which number came?", "1969")]
    moon, number = find_gold(questions, WrittenPages(tmp_path / "pages"), DroppedRows())
    assert moon[0] == "moon#1" and set(moon) <= {"moon#1", "near#1"}
    assert len(number) == page_matcher.MAX_GOLD
    assert number == tuple(f"{n:03}#1" for n in range(page_matcher.MAX_GOLD)), "of equals the first"


def test_an_answer_that_stands_nearly_everywhere_is_not_looked_for(tmp_path: Path) -> None:
    pages = [text_page(f"{n:03}", 1, n, f"Red moon {n}.") for n in range(60)]
    write_text_pages(tmp_path / "pages", pages_of_texts(pages, tmp_path / "pages", DroppedRows()), {}, 0.0)
    rows = DroppedRows()
    questions = [asked("Which moon?", "red"), asked("Which is red?", "moon 7")]
    assert find_gold(questions, WrittenPages(tmp_path / "pages"), rows) == [(), ("007#1",)]
    assert rows.counts == {"answers_too_common": 1}


@pytest.mark.slow
def test_several_processes_find_the_same_gold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    names = [f"name{n}" for n in range(2000)]
    pages = [
        text_page(f"{n:05}", 1, n, f"Title {n}\n\n{' '.join(draw.choices(names, k=12))}") for n in range(5000)
    ]
    write_text_pages(tmp_path / "pages", pages_of_texts(pages, tmp_path / "pages", DroppedRows()), {}, 0.0)
    questions = [asked(" ".join(draw.sample(names, 200)), draw.choice(names)) for _ in range(200)]
    questions += [
        replace(one, facts=(Fact(title=f"title {n}", sentence=""), Fact(title="none", sentence="x")))
        for n, one in enumerate(questions[:20])
    ]
    monkeypatch.setattr(page_matcher, "SPAN_GROUPS", 1)
    written = WrittenPages(tmp_path / "pages")
    assert written.starts() == [0, 2048, 4096]
    alone, together = (find_gold(questions, written, DroppedRows(), workers=workers) for workers in (1, 2))
    assert together == alone
    assert sum(map(bool, alone)) > 40 and all(own == (f"{n:05}#1",) for n, own in enumerate(alone[-20:]))


def test_of_a_file_that_is_wrong_throughout_some_rows_are_listed_and_all_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bad_rows, "MAX_LISTED", 3)
    rows = DroppedRows()
    for number in range(10):
        rows.drop("wrong", f"line {number}")
    assert len(rows.problems) == 3
    assert rows.counts == {"wrong": 10, "problems_not_listed": 7}


def test_a_line_of_any_length_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "MAX_LINE_BYTES", 64)
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfone\r\n" + b"y" * 200 + b"\n\xff\ntwo\n\n" + b"z" * 64)
    bad: list[tuple[str, str]] = []
    found = [text for _, text in text_lines.text_lines(tmp_path / "x", lambda *one: bad.append(one))]
    assert found == ["one", "two"]
    assert [where.removeprefix(f"{tmp_path}/") for where, _ in bad] == ["x line 2", "x line 3", "x line 6"]


some_lines = st.lists(
    st.sampled_from([b"one", b"", b"\xff", b"\xef\xbb\xbfmark", b"x" * 20, b"two\r"]), max_size=12
).map(b"\n".join)


@given(some_lines, st.booleans(), st.integers(1, 40))
def test_the_pieces_of_a_file_give_what_the_file_gives(data: bytes, packed: bool, size_bytes: int) -> None:
    def read(source: text_lines.LineSource) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        bad: list[tuple[str, str]] = []
        return list(text_lines.text_lines(source, lambda *one: bad.append(one))), bad

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "MAX_LINE_BYTES", 16)
        file = Path(folder) / ("x.gz" if packed else "x")
        file.write_bytes(gzip.compress(data) if packed else data)
        pieces = list(text_lines.pieces(file, size_bytes))
        assert all(len(piece.data) < size_bytes + 16 for piece in pieces)
        several = [read(piece) for piece in pieces]
        assert (
            [one for own, _ in several for one in own],
            [one for _, bad in several for one in bad],
        ) == read(file)


def test_rows_dropped_in_pieces_are_those_of_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_rows, "MAX_LISTED", 3)
    whole, together = DroppedRows(), DroppedRows()
    for piece in ("a", "b", "c"):
        own = DroppedRows()
        for rows in (own, whole):
            for number in range(5 if piece == "b" else 2):
                rows.drop(f"wrong in {piece}", f"line {number} of {piece}")
        together.add(own)
    assert together == whole


PEAK = """
import resource, sys
from pathlib import Path
from data_preprocess import sorted_pages
from data_preprocess.convert import convert_dataset
sorted_pages.RUN_CHARS, sorted_pages.MAX_RUNS = 2 << 20, 3
out = Path(sys.argv[2])
convert_dataset("beir", Path(sys.argv[1]), out / "pages", out)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def peak_mib(folder: Path, passages: int, questions: int) -> int:
    """The most memory that the conversion of a collection took, in MiB, in a process of its own."""
    source = folder / f"{passages}-{questions}"
    (source / "qrels").mkdir(parents=True)
    text = " ".join(f"word{n % 97}" for n in range(80))
    with (source / "corpus.jsonl").open("w") as file:
        for n in range(passages):
            file.write(json.dumps({"_id": str(n), "title": f"Title {n}", "text": f"{text} {n}"}) + "\n")
    with (source / "queries.jsonl").open("w") as asked_file, (source / "qrels/train.tsv").open("w") as judged:
        for n in range(questions):
            asked_file.write(json.dumps({"_id": f"q{n}", "text": f"Which title has number {n}?"}) + "\n")
            judged.write(f"q{n}\t{n % passages}\t1\n")
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(source), str(source / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout.split()[-1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    few, many = peak_mib(tmp_path, 10_000, 50), peak_mib(tmp_path, 60_000, 50)
    assert many - few < 30, (
        f"{few} MiB, then {many}: 50,000 more passages have 28 MiB of text, and 60 as pages"
    )
    asked_more = peak_mib(tmp_path, 10_000, 30_000)
    assert asked_more - few < 45, f"{few} MiB, then {asked_more}: at most 1.5 KiB for a question"
