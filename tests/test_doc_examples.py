"""The examples of docs/python.md and docs/extend.md run as they are written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_corpus import page_of

from drag_rl.corpus.pages import write_pages
from drag_rl.questions import write_questions
from drag_rl.retrieval import build_index
from drag_rl.types import Question

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ("Loading a workspace.", "How to save the workspace: a saved workspace is a file.", "Printing.")
RUN_COMMANDS = """
import shlex, sys
from drag_rl.cli.main import main
for line in sys.stdin.read().splitlines():
    print("$", line, flush=True)
    try:
        main(shlex.split(line)[1:])
    except SystemExit as end:
        if end.code:
            raise
from drag_rl.policies.server.sampling import SAMPLINGS
print(SAMPLINGS["warm"].temperature)
"""


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader is: pages, an index and questions below ``data``."""
    monkeypatch.chdir(tmp_path)
    pages = [page_of("manual", number, text) for number, text in enumerate(TEXTS, start=1)]
    write_pages(tmp_path / "data/pages", pages, stage="ingest", pdf_dir=None)
    build_index(tmp_path / "data/pages", tmp_path / "data/index")
    question = Question(question_id="q1", text="How do I save the workspace?", gold_page_ids=("manual#2",))
    write_questions(tmp_path / "data/questions.test.parquet", [question], "test")
    row = {"title": "moon", "text": "The moon is round.", "questions": ["What is round?"]}
    (tmp_path / "data/trivia.jsonl").write_text(json.dumps(row))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_python_examples(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    examples = blocks("python.md", "python")
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert len(examples) == 6
    assert said.startswith("1 note#1 Buy a red fox.\n2 manual#1 A fox is an animal.\n")
    assert "1 manual#2 How to save the workspace: a saved workspace is a file." in said
    assert "manual#2 has rank 1" in said
    assert "answered 1 Answer(text='See [manual#2].'" in said
    assert "1.0 1.0" in said and "True [1" in said
    assert "q1 How do I save the workspace? ('manual#2',)" in said


@pytest.mark.slow
def test_the_parts_of_a_package(folder: Path) -> None:
    for block in blocks("extend.md", "python"):
        name, _, code = block.partition("\n")
        path = folder / name.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    [project] = blocks("extend.md", "toml")
    points = re.sub(r'"(.*)"', r"\1", re.sub(r'project.entry-points."(.*)"', r"\1", project))
    info = folder / "my_parts-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-parts\nVersion: 1\n")
    (info / "entry_points.txt").write_text(points)
    done = subprocess.run(
        [sys.executable, "-c", RUN_COMMANDS],
        input="".join(blocks("extend.md", "bash")),
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first-find" in done.stdout
    measured = json.loads((folder / "data/keywords.json").read_text())
    assert measured["aggregate"]["pages-shown"]["value"] > 0
    once = json.loads((folder / "data/once.json").read_text())
    assert once["aggregate"]["success"]["value"] == 1
    assert "manual#2" in done.stdout
    _, _, fallen_back = done.stdout.partition("--index data/fallback orkspace")
    assert "manual#1" in fallen_back.partition("$")[0], "bm25 has no such word; the substring is there"
    assert (folder / "data/trivia/questions.test.parquet").exists()
    assert done.stdout.endswith("0.8\n")
