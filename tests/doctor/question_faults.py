"""A set of questions without a fault, faults to put into it, and the line of the doctor that each has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiny_corpus import page_of

from drag_rl.corpus.pages import write_pages
from drag_rl.doctor.check import Check
from drag_rl.doctor.examine import examine_parts
from drag_rl.doctor.setup import SetUp
from drag_rl.questions import write_questions
from drag_rl.types import Page, Question

PARTS = [f"part{number:02}" for number in range(60)]


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
            filler = " ".join(f"plain{number * (place + 1)}" for number in range(40))
            page = page_of(
                document, place % 10 + 1, f"The {part} has a torque of {place}.5 Nm. {filler} {part}"
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


def nearly_copied_page(world: World) -> None:
    """The page of another edition: one word in forty is another, and so are the answers."""
    world.pages[50] = replace(world.pages[50], text=world.pages[0].text.replace("plain20 ", "plain "))
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
    (nearly_copied_page, {"near-duplicate pages": "warn"}, "doc5#1 ("),
]
