"""No command of any kind writes over its inputs, nor over a file or folder of the user's: one line, exit code 2."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from data_preprocess import build, sample_corpus, user_questions
from drag_rl.cli.main import main
from drag_rl.console import run_app

OVERLAPS = {
    "ingest --pdf-dir folder --out folder": "--out folder: would overwrite --pdf-dir folder",
    "ingest --ocr-file mine.json --out mine.json": "--out mine.json: would overwrite --ocr-file",
    "index --pages folder --out folder": "--out folder: would overwrite --pages folder",
    "collect --questions mine.json --index folder --out mine.json": "--out mine.json: would overwrite --questions",
    "collect --questions q --index folder --out mine.json --hint-failures mine.json": "overwrite --hint-failures",
    "evaluate --questions mine.json --index i --policy keywords --output mine.json": "mine.json: is there without",
    "evaluate --questions a.trajectories.jsonl --index i --policy keywords --output a.json": "overwrite --questions",
    "evaluate --questions q --index pdfs --policy keywords --output a.json --trec pdfs": "overwrite --index",
    "filter --input mine.json --output mine.json": "--output mine.json: would overwrite --input",
    "filter --input mine.json --output new.json --stats mine.json": "--stats mine.json: would overwrite --input",
    "filter --input t.jsonl --output new.json --stats new.json": "--stats new.json: would overwrite --output",
    "format --input folder --output-dir folder": "--output-dir folder: would overwrite --input",
    "format --input t.jsonl --output-dir folder --pages folder": "--output-dir folder: would overwrite --pages",
    "score --input mine.json --output mine.json": "--output mine.json: would overwrite --input",
    "compare a.json folder/compare.json --out folder": "--out folder/compare.json: would overwrite BASE.json",
    "view mine.html --out mine.html": "--out mine.html: would overwrite INPUT",
    "data_preprocess.build --pages folder --out-pages folder --out new": "--out-pages folder: would overwrite --pages",
    "data_preprocess.build --pages p --out-pages new --out new": "--out new: would overwrite --out-pages",
    "data_preprocess.user_questions --input mine.json --pages p --out mine.json": "--out mine.json: would overwrite",
}
FOREIGN = {
    "filter --input t.jsonl --output mine.json": "mine.json: is there, and no manifest says that filter made it",
    "filter --input t.jsonl --output new.json --stats mine.json": "--stats mine.json: is there, and no manifest",
    "score --input t.jsonl --output mine.json": "mine.json: is there, and no manifest says that score made it",
    "compare a.json b.json --out folder": "--out folder: holds compare.json, and no manifest says that compare",
    "view t.jsonl --out mine.html": "mine.html: is there, and is no report of `drag view`",
    "format --input t.jsonl --output-dir folder": "folder: holds dpo_train.jsonl, and no manifest says that format",
    "evaluate --questions q --index i --policy keywords --output a.json --trec folder": "folder: holds qrels.txt",
    "data_preprocess.build --pages p --out-pages folder --out new": "--out-pages folder: holds pages.parquet",
    "data_preprocess.build --pages p --out-pages new --out folder": "--out folder: holds questions.train.parquet",
    "data_preprocess.user_questions --input q.jsonl --pages p --out folder": "holds questions.train.parquet",
    "data_preprocess.sample_corpus --data-dir .": "pdfs holds files of yours (thesis.pdf)",
}
APPS = {
    "data_preprocess.build": build.app,
    "data_preprocess.user_questions": user_questions.app,
    "data_preprocess.sample_corpus": sample_corpus.app,
}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("command", "message"), [*OVERLAPS.items(), *FOREIGN.items()])
def test_it_is_one_line_and_everything_stays(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.json", "mine.html", "pdfs/thesis.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    names = ("pages.parquet", "questions.train.parquet", "dpo_train.jsonl", "qrels.txt", "compare.json")
    for name in names:
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_text("mine")
    before = content(tmp_path)
    name, *words = shlex.split(command)
    with pytest.raises(SystemExit) as stop:
        if name in APPS:
            run_app(APPS[name], name, words)
        main([name, *words])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in said and said.count("\n") == 1, said
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("collect --questions q --index i --out o.jsonl --timeout-s nan", "--timeout-s"),
        (
            "evaluate --questions q --index i --output o.json --timeout-s inf",
            "--timeout-s inf: give a number",
        ),
        ("format --input t.jsonl --output-dir d --margin nan", "--margin"),
        ("format --input t.jsonl --output-dir d --val-split nan", "--val-split nan: must be at least 0"),
    ],
)
def test_what_is_no_number_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command))
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not content(tmp_path)
