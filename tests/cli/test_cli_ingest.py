"""``drag ingest`` as its users run it."""

from __future__ import annotations

import json

import pytest
import trajectory_lab as lab

from drag_rl.cli.main import main
from drag_rl.corpus.pages import load_pages


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["ingest", *map(str, arguments)])
    written = capsys.readouterr()
    return exit_.value.code, written.out, written.err


def test_ingest_and_ingest_again(pdf_dir, tmp_path, capsys):
    out = tmp_path / "pages"
    code, said, _ = run(capsys, "--pdf-dir", pdf_dir, "--out", out, "--workers", 1)
    assert code == 0
    assert "5 pages of 2 documents (0 failed" in said
    code, said, _ = run(capsys, "--pdf-dir", pdf_dir, "--out", out, "--workers", 2)
    assert code == 0
    assert "up to date" in said


def test_problems_are_said_and_do_not_stop_the_run(pdf_dir, tmp_path, capsys):
    (pdf_dir / "empty [red].pdf").touch()
    code, _, warned = run(capsys, "--pdf-dir", pdf_dir, "--out", tmp_path / "pages", "--workers", 1)
    assert code == 0
    assert "empty [red].pdf: empty file" in warned
    assert "1 problems" in warned.replace("\n", " ")
    manifest = json.loads((tmp_path / "pages" / "manifest.json").read_text())
    assert manifest["problems"] == [{"where": "empty [red].pdf", "reason": "empty file"}]


def test_an_ocr_file_becomes_pages(tmp_path, capsys):
    lines = tmp_path / "ocr_output.jsonl"
    lines.write_text('{"file": "specs/ch47_manual.pdf", "page": 42, "text": "170 knots"}\nnonsense\n')
    code, said, warned = run(capsys, "--ocr-file", lines, "--out", tmp_path / "pages")
    assert code == 0
    assert "1 pages of 1 documents" in said
    assert "line 2: is not JSON" in warned
    (page,) = load_pages(tmp_path / "pages")
    assert (page.page_id, page.text) == ("specs/ch47_manual#42", "170 knots")
    assert "up to date" in run(capsys, "--ocr-file", lines, "--out", tmp_path / "pages")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --pdf-dir, --image-dir and --ocr-file"),
        (["--pdf-dir", "x", "--ocr-file", "y"], "give one of --pdf-dir, --image-dir and --ocr-file"),
        (["--pdf-dir", "no-such-folder"], "--pdf-dir no-such-folder: no such folder"),
        (["--ocr-file", "no-such-file"], "--ocr-file no-such-file: No such file or directory"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, message):
    code, _, said = run(capsys, *arguments, "--out", tmp_path / "pages")
    assert (code, said) == (2, f"drag: {message}\n")


def test_what_cannot_be_read_leaves_nothing(tmp_path, capsys):
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "a.pdf").write_text("Not a PDF.")
    code, _, said = run(capsys, "--pdf-dir", tmp_path / "pdfs", "--out", tmp_path / "pages", "--workers", 1)
    assert (code, said.count("\n")) == (2, 1)
    assert "not one page can be read (1 problems: a.pdf: not a PDF" in said
    assert [path.name for path in tmp_path.iterdir()] == ["pdfs"]


def test_an_output_that_cannot_be_is_one_line(pdf_dir, tmp_path, capsys):
    (tmp_path / "file").touch()
    code, _, said = run(capsys, "--pdf-dir", pdf_dir, "--out", tmp_path / "file")
    assert code == 2
    assert said.startswith(f"drag: {tmp_path / 'file'}")


@pytest.mark.parametrize("source", ["--pdf-dir", "--ocr-file"])
def test_what_another_command_made_is_not_overwritten(source, pdf_dir, tmp_path, capsys):
    lab.make_index(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    inputs = {"--pdf-dir": pdf_dir, "--ocr-file": tmp_path / "none.jsonl"}
    code, _, said = run(capsys, source, inputs[source], "--out", tmp_path / "index")
    assert (code, said.count("\n")) == (2, 1)
    assert f"--out {tmp_path / 'index'}: was made by index; give another --out, or remove it" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
