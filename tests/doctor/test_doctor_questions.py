"""Each fault of a set of questions has its line, and that line alone; a set without faults has none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import page_of

from drag_rl.cli.main import main
from drag_rl.corpus.pages import write_pages
from drag_rl.doctor.check import Check
from drag_rl.doctor.examine import examine_parts
from drag_rl.doctor.setup import SetUp
from drag_rl.doctor.splits.asked import Asked, QuestionFile
from drag_rl.doctor.splits.evidence import number_in, numbers_of
from drag_rl.doctor.splits.leaks import find_leaks
from drag_rl.episode import EpisodeConfig
from drag_rl.near_duplicates import is_near, word_set
from drag_rl.questions import question_to_row, write_questions
from drag_rl.retrieval import build_index
from drag_rl.types import Page, Question

PARTS = [f"part{number:02}" for number in range(60)]
FILLER = " ".join(f"plain{number}" for number in range(40))


@dataclass
class World:
    """Three splits of two documents each, ten pages a document, and a question for each page."""

    pages: list[Page] = field(default_factory=list)
    splits: dict[str, list[Question]] = field(default_factory=dict)

    @classmethod
    def clean(cls) -> World:
        world = cls()
        for place, part in enumerate(PARTS):
            split, document = ("train", "val", "test")[place // 20], f"doc{place // 10}"
            page = page_of(
                document, place % 10 + 1, f"The {part} has a torque of {place}.5 Nm. {FILLER} {part}"
            )
            world.pages.append(page)
            question = Question(
                question_id=f"q{place}",
                text=f"How firmly should one tighten the {part}?",
                gold_page_ids=(page.page_id,),
                answers=(f"{place}.50",),
                document=document if place % 2 else "",
            )
            world.splits.setdefault(split, []).append(question)
        return world

    def change(self, split: str, row: int, **facts: object) -> None:
        """Change a question; ``row`` is 1-based."""
        self.splits[split][row - 1] = replace(self.splits[split][row - 1], **facts)

    def write(self, folder: Path) -> dict[str, Check]:
        """Write everything, and examine it."""
        write_pages(folder / "pages", self.pages, stage="ingest", pdf_dir=None)
        for split, questions in self.splits.items():
            write_questions(folder / f"questions.{split}.parquet", questions, split)
        return examined(folder)


def examined(folder: Path, **parts: object) -> dict[str, Check]:
    set_up = SetUp(questions=(folder,), **{"pages": folder / "pages", **parts})  # type: ignore[arg-type]
    return {check.name: check for check in examine_parts(set_up)}


def wrong(checks: dict[str, Check]) -> dict[str, str]:
    return {check.name: check.status for check in checks.values() if check.status != "ok"}


ALL = [
    "questions",
    "question ids",
    "empty questions",
    "answers",
    "repeated questions",
    "contradicting gold",
    "copied questions",
    "near-duplicate questions",
    "shared documents",
    "documents in pages",
    "gold in pages",
    "answers on gold pages",
    "questions on gold pages",
    "copied documents",
    "copied pages",
]


def test_a_clean_set_is_well_in_every_check(tmp_path: Path) -> None:
    checks = World.clean().write(tmp_path)
    assert list(checks) == ALL and wrong(checks) == {}
    assert "20 in questions.val.parquet" in checks["questions"].detail
    build_index(tmp_path / "pages", tmp_path / "index")
    within = [
        check for check in examined(tmp_path, index=tmp_path / "index").values() if "in index" in check.name
    ]
    assert [check.name for check in within] == ["documents in index", "gold in index"]
    assert all(check.ok for check in within)


def same_id(world: World) -> None:
    world.change("val", 3, question_id="q0")


def no_word(world: World) -> None:
    world.change("train", 2, text="?!")


def no_answer(world: World) -> None:
    world.change("test", 5, answers=())


def twice(world: World) -> None:
    world.splits["val"].append(replace(world.splits["val"][1], question_id="again"))


def twice_with_other_gold(world: World) -> None:
    first = world.splits["val"][2]
    world.splits["val"].append(
        replace(first, question_id="again", gold_page_ids=("doc2#1",), answers=("20.5",))
    )


def asked_in_training(world: World) -> None:
    """The copy is asked of the same page, whose documents stay where they are: so two splits share it, too."""
    world.splits["test"].append(
        replace(
            world.splits["train"][4], question_id="again", text="how firmly should one tighten the part04"
        )
    )


def nearly_asked_in_training(world: World) -> None:
    world.change("test", 7, text="How firmly should one tighten the part04, please?")


def document_of_two_splits(world: World) -> None:
    world.splits["val"].append(world.splits["train"].pop())


def no_such_document(world: World) -> None:
    world.change("train", 2, document="doc9", gold_page_ids=("doc9#2",), answers=())
    world.splits = {split: [replace(one, answers=()) for one in own] for split, own in world.splits.items()}


def no_such_page(world: World) -> None:
    world.change("train", 3, gold_page_ids=("doc0#3", "doc0#77"))


def damaged_page(world: World) -> None:
    world.pages[2] = page_of("doc0", 3, "", "failed")


def answer_elsewhere(world: World) -> None:
    world.change("val", 4, answers=("eleven Nm", "24.05"))


def question_on_its_page(world: World) -> None:
    text = world.pages[24].text + "\nHow FIRMLY should one tighten the  part24?\n"
    world.pages[24] = replace(world.pages[24], text=text)


def copied_document(world: World) -> None:
    """The last document has the pages of the first, which are said of documents and not of each page."""
    for place in range(10):
        world.pages[50 + place] = replace(world.pages[50 + place], text=world.pages[place].text)
        world.change("test", 11 + place, answers=(f"{place}.5",))


def copied_page(world: World) -> None:
    world.pages[50] = replace(world.pages[50], text=world.pages[0].text)
    world.change("test", 11, answers=("0.5",))


FAULTS: list[tuple[Callable[[World], None], dict[str, str], str]] = [
    (same_id, {"question ids": "warn"}, "questions.val.parquet row 3 has the id 'q0' of "),
    (no_word, {"empty questions": "fail"}, 'questions.train.parquet row 2 is one ("?!")'),
    (no_answer, {"answers": "warn"}, "1 of 60 questions (1.7%) have none"),
    (twice, {"repeated questions": "warn"}, "questions.val.parquet row 21 that of row 2 "),
    (twice_with_other_gold, {"contradicting gold": "warn"}, "row 21 has doc2#1, row 3 has doc2#3"),
    (
        asked_in_training,
        {"copied questions": "fail", "shared documents": "warn"},
        "1 of 21 questions of questions.test.parquet are asked in an earlier file",
    ),
    (nearly_asked_in_training, {"near-duplicate questions": "warn"}, "questions.test.parquet row 7 "),
    (document_of_two_splits, {"shared documents": "warn"}, "doc1 "),
    (no_such_document, {"documents in pages": "fail"}, "questions.train.parquet row 2 of 'doc9'"),
    (no_such_page, {"gold in pages": "fail"}, "questions.train.parquet row 3 has doc0#77"),
    (damaged_page, {"gold in pages": "fail"}, "questions.train.parquet row 3 has doc0#3 (damaged)"),
    (answer_elsewhere, {"answers on gold pages": "warn"}, 'questions.val.parquet row 4 "How firmly'),
    (
        question_on_its_page,
        {"questions on gold pages": "warn"},
        "1 of 60 questions (1.7%) stand word for word",
    ),
    (copied_document, {"copied documents": "warn"}, "doc0 ("),
    (copied_page, {"copied pages": "warn"}, "doc0#1 ("),
]


@pytest.mark.parametrize(("fault", "lines", "said"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
def test_each_fault_has_its_line(
    fault: Callable[[World], None], lines: dict[str, str], said: str, tmp_path: Path
) -> None:
    world = World.clean()
    fault(world)
    checks = world.write(tmp_path)
    assert wrong(checks) == lines
    assert said in checks[next(iter(lines))].detail


def test_rows_that_are_no_question_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from drag_rl.questions import ROW_SCHEMA

    World.clean().write(tmp_path)
    rows = [question_to_row(one, row, "val") for row, one in enumerate(World.clean().splits["val"])]
    rows[3]["extra_info"]["question"] = " "
    rows[5]["reward_model"]["ground_truth"]["page_ids"] = []
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), tmp_path / "questions.val.parquet")
    check = examined(tmp_path)["questions"]
    assert check.status == "fail" and "2 rows are wrong" in check.detail
    assert f"{tmp_path / 'questions.val.parquet'} row 4: question is missing or empty" in check.detail


def test_questions_of_other_documents_or_images_are_no_copies(tmp_path: Path) -> None:
    """A form is asked the same of each document: "What is the date?"."""
    world = World.clean()
    for split, own in world.splits.items():
        world.splits[split] = [
            replace(one, text="What is the date of this?", document=one.gold_page_ids[0].split("#")[0])
            for one in own[::10]
        ]
    assert wrong(world.write(tmp_path)) == {}
    world.change("test", 1, document="")
    assert wrong(world.write(tmp_path)) == {"near-duplicate questions": "warn"}
    world.change("test", 1, images=("photo.png",))
    assert wrong(world.write(tmp_path)) == {}


def test_a_set_without_answers_or_texts_is_no_fault(tmp_path: Path) -> None:
    world = World.clean()
    world.pages = [replace(page, text="") for page in world.pages]
    assert wrong(world.write(tmp_path)) == {}
    world.splits = {split: [replace(one, answers=()) for one in own] for split, own in world.splits.items()}
    assert wrong(world.write(tmp_path)) == {}


def test_a_scope_that_questions_do_not_have_is_doubted(tmp_path: Path) -> None:
    World.clean().write(tmp_path)
    checks = examined(tmp_path, episode=EpisodeConfig(scope="document"))
    assert wrong(checks) == {"scope": "warn"} and "30 of 60 questions" in checks["scope"].detail


def test_the_command_needs_questions_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    World.clean().write(tmp_path)
    files = [str(tmp_path / f"questions.{split}.parquet") for split in ("train", "test")]
    assert doctor("--questions", files[0], "--questions", files[1], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in shown["checks"]] == ALL[:9]
    assert doctor("--questions", files[0], "--questions", files[0]) == 2
    assert "is given twice" in capsys.readouterr().out
    assert doctor("--questions", str(tmp_path / "pages")) == 2
    assert "has no questions.train.parquet" in capsys.readouterr().out


def doctor(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *words])
    return int(stop.value.code or 0)


@given(
    st.lists(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6)), min_size=2, max_size=3)
)
def test_leaks_are_those_of_every_pair(splits: list[list[list[str]]]) -> None:
    files = [
        QuestionFile(
            Path(f"{number}"),
            [
                Asked(
                    Path(f"{number}"),
                    row,
                    Question(question_id=f"{number} {row}", text=" ".join(words), gold_page_ids=("d#1",)),
                )
                for row, words in enumerate(split, start=1)
            ],
            [],
        )
        for number, split in enumerate(splits)
    ]
    leaks = find_leaks(files)
    found = {one: "copied" for _, one in leaks.copied} | {one: "near" for _, one in leaks.near}
    earlier: list[Asked] = []
    for file in files:
        for one in file.asked:
            expected = None
            if any(one.same == other.same for other in earlier):
                expected = "copied"
            elif any(
                is_near(word_set(one.question.text), word_set(other.question.text)) for other in earlier
            ):
                expected = "near"
            assert found.get(one) == expected
        earlier += file.asked


@given(st.integers(0, 10**12), st.integers(0, 999), st.sampled_from(["${}", "{} %", "€ {}", "({})", "{}"]))
def test_a_number_is_found_however_it_is_written(whole: int, part: int, form: str) -> None:
    value = number_in(form.format(f"{whole}.{part:03}"))
    assert value is not None
    for written in (f"{whole:,}.{part:03}", f"{whole}.{part:03}00", f"It is {whole:,}.{part:03}, or so."):
        assert value in numbers_of(written)


def test_half_a_million_questions_of_few_words_take_bounded_time() -> None:
    """Each has thousands of others with its rarest words; a twentieth of half a million is tried here."""
    draw = random.Random(0)
    words = [f"w{number}" for number in range(60)]
    rows = [" ".join(draw.sample(words, 8)) for _ in range(4000)]
    files = [
        QuestionFile(
            Path(f"{number}"),
            [
                Asked(
                    Path(f"{number}"), row, Question(question_id=text, text=text, gold_page_ids=(f"{row}#1",))
                )
                for row, text in enumerate(own)
            ],
            [],
        )
        for number, own in enumerate((rows[:2000], rows[2000:]))
    ]
    assert find_leaks(files).sizes.total() == 4000
