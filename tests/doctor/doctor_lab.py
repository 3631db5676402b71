"""Set-ups to be examined by the doctor."""

from __future__ import annotations

from tiny_corpus import index_of

from drag_rl.doctor.examine import examine_parts
from drag_rl.doctor.setup import SetUp
from drag_rl.questions import write_questions
from drag_rl.types import Question


def found(**parts):
    return {check.name: check for check in examine_parts(SetUp(**parts))}


QUESTION = Question(question_id="q", text="whale", gold_page_ids=("doc#2",))


def of_rewards(folder, texts, question=QUESTION, **settings):
    index_of(folder, texts)
    write_questions(folder / "questions.parquet", [question], "train")
    return found(index=folder / "index", questions=(folder / "questions.parquet",), **settings)


TEXTS = ["red fox", "a blue whale", "green tree", "fox and tree"]
