"""The quickstart's order and options: what it starts are stand-ins that tell; GRPO's options are composed for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compose_lab import composed
from launch_lab import stand_ins, told

from drag_rl.training.launch.knobs import KNOBS

ROOT = Path(__file__).resolve().parents[1]
MAKES = "os.makedirs(os.path.join(sys.argv[sys.argv.index('{}') + 1], '{}'), exist_ok=True)"
MODULES = {
    "data_preprocess/sample_corpus.py": "",
    "data_preprocess/build.py": MAKES.format("--out", "index"),
    "drag_rl/models/smol.py": "",
    "drag_rl/cli/main.py": "",
    "drag_rl/training/curves.py": "",
    "drag_rl/training/export.py": MAKES.format("--run", "model"),
    "verl/trainer/main_ppo.py": "",
}


def quickstart_in(tmp_path):
    """A copy of the project's scripts: a function that runs it with knobs, and returns the command lines it started."""
    fake = stand_ins(tmp_path / "fake", MODULES)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "scripts/setup.sh").write_text("exit 0")
    (tmp_path / "scripts/star.sh").write_text(
        'mkdir -p "$RUN/round-1/sft/model"\n'
        'echo "[[\\"star\\", \\"$EPISODE\\", \\"$FIRST_EPISODE\\", \\"$SEED\\"], {}]" >> "$CALLS"'
    )
    (tmp_path / ".venv/bin").mkdir(parents=True)
    # -S: a stand-in needs no packages, and starts sooner
    activate = 'python() { command python3 -S "$@"; }\ndrag() { python -m drag_rl.cli.main "$@"; }\n'
    (tmp_path / ".venv/bin/activate").write_text(activate)
    data = tmp_path / "data/quickstart"
    data.mkdir(parents=True)
    pq.write_table(pa.table({"row": [1]}), data / "questions.train.parquet")
    pq.write_table(pa.table({"row": [1]}), data / "questions.val.parquet")

    def run(**knobs):
        command = ["bash", str(tmp_path / "scripts/quickstart.sh")]
        environment = {**os.environ, **fake, **knobs}
        subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=100)
        return [[Path(words[0]).stem, *words[1:]] for words, _ in told(fake)]

    return run


@pytest.fixture
def quickstart(tmp_path):
    return quickstart_in(tmp_path)


@pytest.fixture(scope="module")
def calls_of_one_search(tmp_path_factory):
    return quickstart_in(tmp_path_factory.mktemp("one_search"))(SEED="7")


def trains(call):
    """The configuration that verl would make of a call of its trainer."""
    return composed("grpo", [word for word in call[1:] if "=" in word and not word.startswith("hydra.")])


def measured(calls):
    """Of each evaluation its result's name, its episode and its policy."""
    for _, command, *words in calls:
        if command == "evaluate":
            option: dict[str, str] = {}
            for name, value in zip(words[::2], words[1::2], strict=True):
                option[name] = f"{option[name]} {value}" if name in option else value
            policy = option.get("--policy") or option["--model-path"]
            yield Path(option["--output"]).stem, option["--episode"].split(), policy


def test_one_search(calls_of_one_search):
    calls = calls_of_one_search
    names = [call[1] if call[0] == "main" else call[0] for call in calls]
    assert names == [
        "sample_corpus",
        "ingest",
        "build",
        "index",
        "search",
        "smol",
        "star",
        "main_ppo",
        "export",
        "curves",
        *["evaluate"] * 4,
        "compare",
        "view",
    ]
    _, episode, first, seed = calls[6]
    assert (first, seed) == ("shots=3", "7") and "max_turns=1" in episode.split()
    evaluations = list(measured(calls))
    assert [name for name, _, _ in evaluations] == ["untrained", "sft", "grpo", "question"]
    assert all(words == episode.split() for _, words, _ in evaluations[1:])
    assert evaluations[0][1] == [*episode.split(), "shots=3"]
    assert [policy for _, _, policy in evaluations] == [
        "models/smollm2-135m-vl",
        "runs/quickstart/star/round-1/sft/model",
        "runs/quickstart/grpo/model",
        "raw-question",
    ]
    assert [Path(path).stem for path in calls[-2][2:6]] == [name for name, _, _ in evaluations]


def test_grpo_of_one_search(calls_of_one_search):
    (train,) = [call for call in calls_of_one_search if call[0] == "main_ppo"]
    ((_, episode, _, _),) = [call for call in calls_of_one_search if call[0] == "star"]
    config = trains(train)
    assert (config.drag.episode.max_turns, config.data.train_batch_size, config.data.seed) == (1, 16, 7)
    assert config.data.max_response_length == 24 and config.trainer.total_training_steps == 12
    assert {f"{key}={json.dumps(value)}" for key, value in config.drag.episode.items()} >= {
        setting for setting in episode.split() if not setting.startswith("system_prompt")
    }
    asked = config.actor_rollout_ref.rollout.val_kwargs
    assert (config.trainer.val_before_train, config.trainer.test_freq) == (True, 3), (
        "the curve's fixed questions"
    )
    assert (asked.do_sample, asked.temperature, asked.n) == (True, 1, 2)


def test_several_searches_beside_a_run_with_one(quickstart):
    calls = quickstart(TURNS="3")
    ((_, episode, _, _),) = [call for call in calls if "star" in call]
    assert "max_turns=1" in episode.split() and "repeat_pages" not in episode, (
        "the warm start of a run with one"
    )
    (train,) = [call for call in calls if call[0] == "main_ppo"]
    assert "trainer.experiment_name=grpo-3" in train
    config = trains(train)
    episode, budget = config.drag.episode, config.drag
    assert (episode.max_turns, episode.repeat_pages, config.data.train_batch_size) == (3, False, 12)
    said, read = 3 * budget.turn_tokens, 2 * budget.observation_tokens
    assert said + read < config.data.max_response_length <= said + read + 2 * 16, (
        "and the chat template's own"
    )
    names = [name for name, _, _ in measured(calls)]
    assert names == [f"{name}-3" for name in ("untrained", "sft", "grpo", "question", "feedback")]
    assert all("max_turns=3" in words and "repeat_pages=false" in words for _, words, _ in measured(calls))
    assert (
        "runs/quickstart/report-3.html" in calls[-1] and "runs/quickstart/results/comparison-3" in calls[-2]
    )


def test_knobs_of_other_scripts_do_not_reach_what_it_starts(quickstart):
    own = {"MODEL", "DATA", "RUN", "SEED"}
    foreign = sorted({knob for script in ("grpo", "sft", "star") for knob in KNOBS[script]} - own)
    header = (ROOT / "scripts/quickstart.sh").read_text()
    unset = re.search(r"^unset ((?:.*\\\n)*.*)$", header, re.MULTILINE)[1].replace("\\\n", "").split()
    assert sorted(unset) == foreign
    calls = quickstart(**dict.fromkeys(foreign, "wrong"))
    config = trains(next(call for call in calls if call[0] == "main_ppo"))
    assert config.actor_rollout_ref.model.lora_rank == 0
    assert config.data.val_files.endswith("questions.val.parquet")


def test_what_is_trained_is_not_trained_again(quickstart, tmp_path):
    (tmp_path / "runs/quickstart/grpo-3/model").mkdir(parents=True)
    assert "main_ppo" not in [call[0] for call in quickstart(TURNS="3")]


@pytest.mark.parametrize("knob", ["SENTENCES", "QUESTIONS", "STEPS", "SEED"])
def test_a_knob_that_is_no_number_is_one_line(quickstart, knob):
    with pytest.raises(subprocess.CalledProcessError) as error:
        quickstart(**{knob: "many"})
    assert error.value.returncode == 2
    assert error.value.stderr.decode() == f"quickstart: {knob}=many: give a whole number\n"


@pytest.mark.parametrize("turns", ["0", "two", "10"])
def test_a_wrong_number_of_searches_is_one_line(quickstart, turns):
    with pytest.raises(subprocess.CalledProcessError) as error:
        quickstart(TURNS=turns)
    assert error.value.returncode == 2
    assert error.value.stderr.decode() == f"quickstart: TURNS={turns}: give 1 to 9 searches\n"


def test_pages_are_seen_as_well_if_asked_for(quickstart):
    calls = quickstart(VISUAL="1")
    names = [call[1] if call[0] == "main" else call[0] for call in calls]
    assert names[-7:] == ["index", "index", *["evaluate"] * 3, "compare", "search"]
    late, fused = calls[-7][2:], calls[-6][2:]
    assert late[:4] == ["--kind", "late", "--model", "reader"]
    assert [fused[place + 1] for place, word in enumerate(fused) if word == "--part"] == [
        "data/quickstart/index",
        "data/quickstart/index-visual",
    ]
    assert [(name, policy) for name, _, policy in list(measured(calls))[-3:]] == [
        (name, "raw-question") for name in ("index", "index-visual", "index-both")
    ]


def test_a_wrong_choice_is_one_line(quickstart):
    with pytest.raises(subprocess.CalledProcessError) as error:
        quickstart(VISUAL="yes")
    assert error.value.stderr.decode() == "quickstart: VISUAL=yes: give 0 or 1\n"
