"""A comparison for the eye: a table that fits, nothing of Markdown, nothing that acts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trajectory_lab as lab
from results_lab import results_of

from drag_rl.evaluation.compare import compare
from drag_rl.evaluation.report import comparison_text
from drag_rl.evaluation.terminal import print_comparison
from drag_rl.metrics.table import HEADLINES


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal")
    index = lab.make_index(folder)
    few = [replace(question, text="What of *x*_y? [red]#1\x1b[31m") for question in lab.QUESTIONS]
    base, other = (results_of(index, lambda n, k=k: n % 3 < k, few, split="te[st]") for k in (1, 2))
    return compare([folder / "debian_faq#26.json", folder / "tuned[bold].json"], [base, other])


def shown(comparison, capsys, monkeypatch, columns=None, **options):
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if columns:  # a terminal of that width
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("FORCE_COLOR", "1")
    print_comparison(comparison, everything=False, **options)
    return capsys.readouterr().out


def test_a_file_or_pipe_gets_plain_rows_that_are_whole(comparison, capsys, monkeypatch):
    said = shown(comparison, capsys, monkeypatch, hint="More: out/compare.md")
    lines = said.splitlines()
    assert "\x1b" not in said and "\\" not in said and "|" not in said and "# " not in said
    assert lines[:2] == ["20 questions (te[st]), 20 pages.", "Base: debian_faq#26 (model m, 4 turns, greedy)"]
    assert lines[-1] == "More: out/compare.md"
    rows = {line.split("  ")[0]: line for line in lines}
    assert all(label in rows for label in HEADLINES.values())
    assert "+" in rows["Success Rate"] and "[" in rows["Success Rate"]
    assert "Won" not in said and "Token F1" not in said


def test_a_terminal_of_eighty_columns_shows_every_verdict(comparison, capsys, monkeypatch):
    said = shown(comparison, capsys, monkeypatch, columns=80)
    assert "\x1b[" in said and "tuned[bold]" in said
    assert said.count("can't tell") + said.count("better") >= len(HEADLINES)


def test_everything_has_all_metrics_and_examples(comparison, capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    print_comparison(comparison, everything=True)
    said = capsys.readouterr().out
    assert "Token F1" in said and "Won (by" in said and "What of *x*_y? [red]#1 [31m" in said
    assert "\x1b" not in said


def test_files_have_markdown(comparison):
    text = comparison_text(comparison, everything=True)
    assert text.startswith("# tuned\\[bold\\] against debian\\_faq\\#26\n") and "### Won" in text
