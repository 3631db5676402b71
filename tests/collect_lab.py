"""``drag collect`` against a scripted server: its data, its command line, and a model that often finds the page."""

from __future__ import annotations

import hashlib

import pytest
from tiny_corpus import index_of

from drag_rl.cli.main import main
from drag_rl.questions import write_questions
from drag_rl.types import Question

WORDS = ["impeller", "seal", "cavitation", "blade", "nozzle", "rotor", "copper", "sheath", "gate", "stem"]
WORDS += ["bonnet", "filament"]


def make_data(folder):
    """A page and a question for each word."""
    index_of(folder, [f"The {word} needs care on every day of the week." for word in WORDS])
    questions = [
        Question(question_id=f"q{n}", text=f"What of the {word}?", gold_page_ids=(f"doc#{n}",))
        for n, word in enumerate(WORDS, start=1)
    ]
    write_questions(folder / "questions.parquet", questions, "train")
    return folder


def command(data, url, out, *more):
    words = ["collect", "--questions", data / "questions.parquet", "--index", data / "index", "--out", out]
    words += [
        "--model",
        "m",
        "--base-url",
        url,
        "--episode",
        "think=false max_turns=3",
        "--retries",
        0,
        *more,
    ]
    return [str(word) for word in words]


def drag(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def question_of(request):
    return next(m["content"] for m in reversed(request["messages"]) if m["content"].startswith("What of"))


def model(request):
    """Searches for a word that its seed chooses, often the right one; then answers."""
    if request["messages"][-1]["content"].startswith("What of"):
        digest = hashlib.sha256(f"{request['seed']}".encode()).digest()
        word = question_of(request).split()[-1].strip("?") if digest[0] % 2 else WORDS[digest[1] % len(WORDS)]
        return f"<search>{word}</search>"
    return "<answer>It needs care.</answer>"
