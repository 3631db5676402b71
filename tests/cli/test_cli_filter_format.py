"""``drag filter`` and ``drag format`` as their users run them."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import trajectory_lab as lab

from drag_rl.cli.main import main
from drag_rl.episode import EpisodeConfig
from drag_rl.files.manifest import read_manifest
from drag_rl.star.formats.build import FORMATS
from drag_rl.star.rules import RULES

INDEX = lab.make_index(Path(tempfile.mkdtemp()))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main([*map(str, arguments)])
    written = capsys.readouterr()
    return exit_.value.code, written.out, written.err


def collected(path, samples=3, questions=lab.QUESTIONS, config=lab.PLAIN):
    """Some successes, some failures, some nonsense."""
    draw = random.Random(0)
    trajectories = []
    for question in questions:
        word = question.text.split()[-1].removesuffix("?")
        for sample in range(samples):
            queries = [" ".join(draw.sample(lab.WORDS, 2)), f"{draw.choice(lab.WORDS)} {word}"]
            texts = [lab.search(query, config) for query in draw.sample(queries, draw.choice((1, 2)))]
            texts.append(draw.choice([lab.answer("It needs care.", config), "<search>a</search><answer>"]))
            trajectories.append(lab.played(INDEX, question, texts, config, sample=sample))
    return lab.write(path, trajectories, config)


def test_from_collected_to_training_data_by_count(tmp_path, capsys):
    source = collected(tmp_path / "trajectories.jsonl")
    processed, stats, data = (tmp_path / name for name in ("processed.jsonl", "stats.json", "training_data"))
    code, said, _ = run(capsys, "filter", "--input", source, "--output", processed, "--stats", stats)
    assert code == 0
    found = json.loads(stats.read_text())
    assert found["total"] == 60 > found["valid"] > 10
    for line in (
        "TRAJECTORY PROCESSING STATISTICS",
        "Total: 60",
        f"Valid: {found['valid']} ({found['valid_percent']}%)",
        f"Filtered: {found['filtered']} ({found['filtered_percent']}%)",
        "Iterations to First Success:",
        f"Step 1: {found['first_success_step']['1']} (",
        f"Rank 1: {found['best_rank']['1']} (",
        "outline",
        "well_formed",
        f"{found['filtered_for_wasted_turns']} were dropped only for turns that training can mask",
    ):
        assert line in said
    code, said, warned = run(
        capsys, "format", "--input", processed, "--output-dir", data, "--contrast", source, "--val-split", 0.2
    )
    assert (code, warned) == (0, "")
    manifest = read_manifest(data)
    assert manifest.counts["trajectories"] == found["valid"]
    assert manifest.counts["trajectories_contrast"] == found["filtered"]
    assert f"DPO pairs: {manifest.counts.get('dpo_pairs_within', 0)} from steps within a trajectory" in said
    assert {path.name for path in data.iterdir()} == {
        "manifest.json",
        *(
            f"{name}_{split}.{kind}"
            for name in FORMATS
            for split in ("train", "val")
            for kind in ("jsonl", "parquet")
        ),
    }
    for path in data.glob("*.jsonl"):
        assert len(path.read_text().splitlines()) == manifest.counts[path.stem]
    assert manifest.counts["sft_trajectory_val"] > 0


def test_every_option_of_the_filter_does_something(tmp_path, capsys):
    source = collected(tmp_path / "trajectories.jsonl", 4)
    out = tmp_path / "processed.jsonl"

    def kept(*options):
        code, _, warned = run(capsys, "filter", "--input", source, "--output", out, *options)
        assert code == 0, warned
        return json.loads((tmp_path / "stats.json").read_text())["valid"]

    assert kept("--rules", "") == 80
    default = kept()
    assert 0 < kept("--rules", "default,answered") <= default < kept("--rules", "default,-well_formed")
    assert kept("--max-turns", 2) < default
    assert kept("--max-tokens", 450) < default
    assert (
        kept("--per-question", 1)
        == json.loads((tmp_path / "stats.json").read_text())["questions_valid"]
        < default
    )
    hinted = lab.played(
        INDEX, lab.QUESTIONS[0], [lab.search("the impeller")], sample=9, hint_page_ids=("pumps#1",)
    )
    more = lab.write(tmp_path / "hinted.jsonl", [hinted])
    assert kept("--input", more) == default + 1
    assert kept("--input", more, "--copy-words", 2) == default
    run(capsys, "filter", "--input", source, "--output", out, "--stats", tmp_path / "deep" / "s.json")
    assert (tmp_path / "deep" / "s.json").exists()


def test_help_names_every_rule_and_format(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    _, said, _ = run(capsys, "filter", "--help")
    assert all(name in said for name in RULES)
    _, said, _ = run(capsys, "format", "--help")
    assert all(name in said for name in FORMATS)


def test_episode_settings_can_be_given_and_override(tmp_path, capsys):
    config = EpisodeConfig(think=False, shots=1)
    source = collected(tmp_path / "t.jsonl", 1, config=config)
    data = tmp_path / "data"
    arguments = ("format", "--input", source, "--output-dir", data, "--formats", "sft_trajectory")

    def messages():
        return len(json.loads((data / "sft_trajectory_train.jsonl").read_text().splitlines()[0])["messages"])

    assert run(capsys, *arguments)[0] == 0
    with_shot = messages()
    assert run(capsys, *arguments, "--episode", "shots=0")[0] == 0
    assert messages() < with_shot
    assert read_manifest(data).config["episode"]["think"] is False  # what is not overridden stays
    (tmp_path / "t.jsonl.manifest.json").unlink()
    code, _, said = run(capsys, *arguments)
    assert code == 2
    assert "no manifest says with which episode settings it was collected; give them by --episode" in said
    assert run(capsys, *arguments, "--episode", "shots=1 think=false")[0] == 0
    assert messages() == with_shot


def test_margins_and_limits_of_pairs(tmp_path, capsys):
    source = collected(tmp_path / "t.jsonl", 5)

    def pairs(*options):
        arguments = ("--input", source, "--output-dir", tmp_path / "data", "--formats", "dpo", *options)
        assert run(capsys, "format", *arguments)[0] == 0
        counts = read_manifest(tmp_path / "data").counts
        return counts["dpo_train"] + counts["dpo_val"]

    assert pairs("--margin", 0.5) < pairs() < pairs("--margin", 0)
    assert 0 < pairs("--pairs-per-question", 1) <= len(lab.QUESTIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["filter", "--input", "no.jsonl", "--output", "o.jsonl"], "no.jsonl: cannot be read"),
        (
            ["filter", "--input", "t.jsonl", "--output", "o.jsonl", "--rules", "x"],
            "--rules: unknown rule 'x'",
        ),
        (
            ["filter", "--input", "t.jsonl", "--output", "t.jsonl"],
            "--output t.jsonl: would overwrite --input",
        ),
        (["format", "--input", "no.jsonl", "--output-dir", "d"], "no.jsonl: cannot be read"),
        (
            ["format", "--input", "t.jsonl", "--output-dir", "d", "--formats", "x"],
            "--formats: unknown format 'x'",
        ),
        (
            ["format", "--input", "t.jsonl", "--output-dir", "d", "--val-split", "1"],
            "--val-split 1.0: must be",
        ),
        (
            ["format", "--input", "t.jsonl", "--output-dir", "d", "--episode", "top_k=9"],
            "give --episode top_k=3",
        ),
        (["format", "--input", "t.jsonl", "--output-dir", "d", "--split-from", "no"], "no does not exist"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    collected(Path("t.jsonl"), 1, lab.QUESTIONS[:2])
    code, _, said = run(capsys, *arguments)
    assert code == 2
    assert message in said
    assert said.startswith("drag: ")
    assert said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"t.jsonl", "t.jsonl.manifest.json"}


KILLED = """
import os, signal, sys

left = int(sys.argv.pop(1))

def watch(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
from drag_rl.cli.main import main
main()
"""
"""The command line, killed just before it moves its so-manieth file into place."""


def starter(tmp_path, command):
    """Starts a command on one source, with its results in a folder; and whether they are whole where they are."""
    source = collected(tmp_path / "t.jsonl", 20)

    def start(name, python=("-m", "drag_rl.cli.main")):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        out = ("--output", folder / "p.jsonl") if command == "filter" else ("--output-dir", folder)
        line = [sys.executable, *python, command, "--input", source, *out]
        return subprocess.Popen([*map(str, line)], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])

    def check():
        whole = tmp_path / "killed" / ("p.jsonl" if command == "filter" else "manifest.json")
        if whole.exists():  # then all that it names is there
            assert content(tmp_path / "killed").keys() >= content(tmp_path / "calm").keys()

    return start, check


@pytest.mark.slow
@pytest.mark.parametrize("command", ["filter", "format"])
def test_killed_between_its_files_it_ends_as_if_undisturbed(tmp_path, command):
    start, check = starter(tmp_path, command)
    assert start("calm").wait() == 0
    codes = []
    for moved in (1, 2, 3, 8):
        codes.append(start("killed", ("-c", KILLED, str(moved))).wait())
        check()
    assert codes[0] == -signal.SIGKILL and set(codes) <= {-signal.SIGKILL, 0}
    assert start("killed").wait() == 0
    assert content(tmp_path / "killed") == content(tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("command", ["filter", "format"])
def test_killed_at_ten_moments_it_ends_as_if_undisturbed(tmp_path, command):
    start, check = starter(tmp_path, command)
    started = time.monotonic()
    assert start("calm").wait() == 0
    seconds = time.monotonic() - started
    draw = random.Random(1)
    for moment in sorted(draw.uniform(0.3, 1.0) for _ in range(10)):
        running = start("killed")
        time.sleep(moment * seconds)
        running.kill()
        running.wait()
        check()
    assert start("killed").wait() == 0
    assert content(tmp_path / "killed") == content(tmp_path / "calm")


def content(folder):
    """The files of a folder but for manifests, which tell the time, and what a kill may leave hidden."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if "manifest" not in path.name and not path.name.startswith(".")
    }
