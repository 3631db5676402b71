"""Knobs become command lines: checked, quoted, with the attention that is installed. Hydra itself parses them."""

from __future__ import annotations

import json
import shlex
from glob import glob
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compose_lab import composed
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from drag_rl.errors import InputError
from drag_rl.training.launch import attention
from drag_rl.training.launch.attention import Attention, fallback
from drag_rl.training.launch.knobs import KNOBS, Choice, Text, Whole
from drag_rl.training.launch.overrides import override
from drag_rl.training.launch.plans import dpo_launch, rl_launch, sft_launch, steps_are_done

ODD_NAMES = [
    "lr=1e-5",
    "jürgen",
    "two words",
    "it's",
    'say "x"',
    "a,b",
    "[1]",
    "{a: 1}",
    "(x)",
    "$HOME",
    "~",
    "back\\slash\\",
    "a:b",
    "#1",
    "50%",
    "*?",
    "null",
    "7",
    " blank ",
]


@pytest.fixture
def world(tmp_path):
    """Data to train on, and the knobs that name it, in a folder of any name."""

    def make(name="plain"):
        folder = tmp_path / name
        for part in ("data/index", "data/pages", "model"):
            (folder / part).mkdir(parents=True)
        for rows in ("data/questions.train", "data/questions.val", "rows_train", "rows_val"):
            pq.write_table(pa.table({"row": [1]}), folder / f"{rows}.parquet")
        return {
            "HARDWARE": "cpu",
            "MODEL": str(folder / "model"),
            "DATA": str(folder / "data"),
            "TRAIN": str(folder / "rows_train.parquet"),
            "RUN": str(folder / "run"),
        }

    return make


def configured(launch):
    """The configuration that verl would make of a launch, its interpolations resolved as verl does."""
    words = list(launch.command)
    name = words[words.index("--config-name") + 1]
    options = [word for word in words[words.index("--config-name") + 2 :] if not word.startswith("hydra.")]
    config = composed(name, options)
    OmegaConf.resolve(config)
    return config


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_hydra_reads_a_value_as_it_is(text):
    if "${" in text or not text.isprintable():
        with pytest.raises(InputError):
            override("a.b", text)
        return
    (parsed,) = OverridesParser.create().parse_overrides([override("a.b", text)])
    assert parsed.value() == text and isinstance(parsed.value(), str)
    config = OmegaConf.create({"a": {"b": parsed.value()}})
    OmegaConf.resolve(config)
    assert config.a.b == text


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_folder_reaches_the_trainer(world, name):
    knobs = world(name)
    folder = Path(knobs["RUN"]).parent
    for launch in (rl_launch("grpo", knobs, []), sft_launch(knobs, [])):
        options = launch.command[launch.command.index("--config-name") + 2 :]
        parsed = {
            word.key_or_group: word.value() for word in OverridesParser.create().parse_overrides(options)
        }
        assert parsed["hydra.run.dir"] == f"{folder}/run/hydra"
        assert parsed["trainer.default_local_dir"] == f"{folder}/run/checkpoints"
        (model,) = {value for key, value in parsed.items() if key.endswith("model.path")}
        assert model == knobs["MODEL"]
        if "drag.index" in parsed:
            # verl reads questions with the datasets library, to which names are patterns
            assert glob(parsed["data.train_files"]) == [f"{folder}/data/questions.train.parquet"]  # noqa: PTH207
            assert glob(parsed["data.val_files"]) == [f"{folder}/data/questions.val.parquet"]  # noqa: PTH207
            assert (
                parsed["drag.index"] == f"{folder}/data/index"
                and parsed["drag.pages"] == f"{folder}/data/pages"
            )
        else:
            assert parsed["data.train_files"] == knobs["TRAIN"]
    dpo = dpo_launch(knobs, []).command
    assert dpo[dpo.index("--train") + 1] == knobs["TRAIN"] and dpo[dpo.index("--out") + 1] == knobs["RUN"]


def test_verl_takes_an_odd_name_and_the_fallback_of_attention(world, monkeypatch):
    knobs = world("jürgen's [run], lr=1e-5 $x") | {"HARDWARE": "gpu_1", "LORA_RANK": "4"}
    with_flash_attention(monkeypatch, None)
    Path(knobs["MODEL"], "config.json").write_text('{"model_type": "qwen2_vl"}')
    config = configured(
        rl_launch("ppo", knobs, ["critic.optim.lr=1", "critic.model.use_remove_padding=true"])
    )
    assert config.trainer.default_local_dir == f"{knobs['RUN']}/checkpoints"
    assert config.critic.model.path == knobs["MODEL"]
    assert config.actor_rollout_ref.model.exclude_modules == ".*visual.*"
    assert config.critic.optim.lr == 1
    for model in (config.actor_rollout_ref.model, config.critic.model):
        assert model.override_config.attn_implementation == "sdpa"
    assert not config.actor_rollout_ref.model.use_remove_padding
    assert config.critic.model.use_remove_padding, "the user's own options come last"
    model = configured(sft_launch(knobs, [])).model
    assert (model.override_config.attn_implementation, model.use_remove_padding) == ("sdpa", False)


def test_knobs_of_rl(world, tmp_path):
    knobs = world()
    launch = rl_launch("grpo", knobs, ["trainer.save_freq=1"])
    plain = shlex.join(launch.command)
    assert f"data.val_files={knobs['DATA']}/questions.val.parquet" in plain and "lora" not in plain
    assert "hardware=cpu" in plain and plain.endswith("trainer.save_freq=1") and "wandb" not in plain
    assert launch.environment["TENSORBOARD_DIR"] == f"{knobs['RUN']}/tensorboard"
    assert launch.environment["HF_HUB_OFFLINE"] == "1", "the model is a folder"
    Path(knobs["DATA"], "questions.val.parquet").rename(tmp_path / "questions.test.parquet")
    chosen = str(tmp_path / "questions.test.parquet")
    assert f"data.val_files={chosen}" in rl_launch("grpo", knobs | {"VAL": chosen}, []).command
    with pytest.raises(InputError, match=r"has no questions.val.parquet: name one by VAL="):
        rl_launch("grpo", knobs, [])
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 6}')
    more = rl_launch("grpo", knobs | {"VAL": chosen, "ADAPTER": str(adapter), "WANDB": "1"}, []).command
    assert f"actor_rollout_ref.model.lora_adapter_path={adapter}" in more
    assert "actor_rollout_ref.model.lora_rank=6" in more
    assert "trainer.logger=[console,tensorboard,wandb]" in more


def test_knobs_of_sft(world, tmp_path):
    knobs = world()
    launch = sft_launch(knobs, [])
    plain = shlex.join(launch.command)
    assert f"model.path={knobs['MODEL']}" in plain and "data.drag.mask_strategy=assistant" in plain
    assert "data.drag.weight_scheme=rank-score" in plain and "lora" not in plain and "wandb" not in plain
    assert f"data.val_files={tmp_path}/plain/rows_val.parquet" in plain and "sft_hardware=cpu" in plain
    assert "--nproc_per_node=1 -m verl.trainer.sft_trainer " in plain
    assert launch.environment["VERL_FILE_LOGGER_PATH"].startswith(f"{knobs['RUN']}/metrics/")
    assert launch.environment["DRAG_PLUGIN"] == "1"
    other = {"MASK": "search-only", "WEIGHT": "binary", "LORA_RANK": "8", "RANKS": "2"}
    train = shlex.join(sft_launch(knobs | other, ["optim.lr=1"]).command)
    assert "data.drag.mask_strategy=search-only" in train and "data.drag.weight_scheme=binary" in train
    assert "model.lora_rank=8 model.lora_alpha=16 optim.lr=2e-4" in train and train.endswith("optim.lr=1")
    assert "exclude_modules=" in train and "--nproc_per_node=2" in train
    launch = sft_launch(knobs | {"LAUNCHER": "ray", "RANKS": "2", "WANDB": "1", "VAL": ""}, [])
    train = shlex.join(launch.command)
    assert "sft_trainer_ray --config-path" in train and "wandb" in train and "trainer.test_freq=-1" in train
    assert json.loads(launch.environment["RAY_OVERRIDE_RESOURCES"]) == {"GPU": 2, "CPU": 32}
    eight = shlex.join(sft_launch(knobs | {"HARDWARE": "gpu_8"}, []).command)
    assert "--nproc_per_node=8" in eight and "trainer.n_gpus_per_node=8" in eight


def test_validation_rows_of_sft_and_dpo(world, tmp_path):
    knobs = world()
    pq.write_table(pa.table({"row": pa.array([], pa.int64())}), tmp_path / "plain/rows_val.parquet")
    assert "trainer.test_freq=-1" in sft_launch(knobs, []).command, "no row to validate on"
    assert "--val" not in dpo_launch(knobs, []).command
    pq.write_table(pa.table({"row": [1]}), tmp_path / "other.parquet")
    chosen = knobs | {"VAL": str(tmp_path / "other.parquet")}
    assert f"data.val_files={tmp_path}/other.parquet" in sft_launch(chosen, []).command
    assert shlex.join(dpo_launch(chosen, []).command).endswith(f"--val {tmp_path}/other.parquet")
    renamed = Path(knobs["TRAIN"]).rename(tmp_path / "mine.parquet")
    assert "trainer.test_freq=-1" in sft_launch(knobs | {"TRAIN": str(renamed)}, []).command


def test_knobs_of_dpo(world):
    knobs = world() | {"RANKS": "3"}
    train = shlex.join(dpo_launch(knobs, ["beta=0.2"]).command)
    assert "--nproc_per_node=3" in train and train.endswith("beta=0.2")
    assert f"--model {knobs['MODEL']} --train {knobs['TRAIN']} --out {knobs['RUN']}" in train


LAUNCHES = {
    "grpo": lambda knobs: rl_launch("grpo", knobs, []),
    "ppo": lambda knobs: rl_launch("ppo", knobs, []),
    "sft": lambda knobs: sft_launch(knobs, []),
    "dpo": lambda knobs: dpo_launch(knobs, []),
}


@pytest.mark.parametrize("script", LAUNCHES)
def test_every_knob_is_checked(world, script):
    knobs = world()
    for name, takes in KNOBS[script].items():
        for wrong in {Whole: ["x", "-1", "1.5", "1e3", "08", "1 2"], Choice: ["maybe"], Text: []}[
            type(takes)
        ]:
            with pytest.raises(InputError, match=f"^{name}={wrong}: (give|use) "):
                LAUNCHES[script](knobs | {name: wrong})
    wrong = {
        "VAL": "^VAL=typo does not exist",
        "HARDWARE": "^HARDWARE=typo: use cpu, gpu_1 or gpu_8",
        "TRAIN": "^TRAIN=typo does not exist: make it with 'drag format",
        "DATA": "^DATA=typo has no index",
        "ADAPTER": "^ADAPTER=typo has no adapter_config",
    }
    for name in wrong.keys() & KNOBS[script].keys():
        with pytest.raises(InputError, match=wrong[name]):
            LAUNCHES[script](knobs | {name: "typo"})
    with pytest.raises(InputError, match=r"^MODEL=\./model: is neither a folder nor a hub id"):
        LAUNCHES[script](knobs | {"MODEL": "./model"})


@pytest.mark.parametrize("name", ["${x}", "a\nb"])
def test_what_no_run_can_be_called_is_refused(world, name):
    with pytest.raises(InputError, match="give another name"):
        rl_launch("grpo", world() | {"RUN": name}, [])


def test_a_run_whose_steps_are_done(tmp_path):
    marker = tmp_path / "checkpoints/latest_checkpointed_iteration.txt"
    assert steps_are_done(tmp_path, ["trainer.total_training_steps=4"]) == 0
    marker.parent.mkdir()
    marker.write_text("4")
    assert steps_are_done(tmp_path, ["trainer.total_training_steps=4"]) == 4
    assert steps_are_done(tmp_path, ["trainer.total_training_steps=5"]) == 0
    assert steps_are_done(tmp_path, []) == 0


def with_flash_attention(monkeypatch, installed):
    monkeypatch.setattr(attention, "find_spec", lambda name: installed if name == "flash_attn" else None)


@pytest.mark.parametrize(
    ("kind", "remove_padding"),
    [("qwen3_vl", "true"), ("qwen2_vl", "false"), ("qwen2_5_vl", "false"), ("other", "false")],
)
def test_without_flash_attention_every_model_of_a_gpu_run_uses_sdpa(world, monkeypatch, kind, remove_padding):
    knobs = world() | {"HARDWARE": "gpu_1"}
    Path(knobs["MODEL"], "config.json").write_text(json.dumps({"model_type": kind}))
    with_flash_attention(monkeypatch, None)
    launch = rl_launch("ppo", knobs, [])
    assert launch.notes[0].startswith("flash-attn is not installed: attention by sdpa, with")
    for command, models in (
        (launch.command, ("actor_rollout_ref.model", "critic.model")),  # the reference has the policy's
        (sft_launch(knobs, []).command, ("model",)),
    ):
        for model in models:
            assert f"{model}.use_remove_padding={remove_padding}" in command
            assert f"++{model}.override_config.attn_implementation=sdpa" in command


def test_with_flash_attention_nothing_is_said(world, monkeypatch):
    knobs = world() | {"HARDWARE": "gpu_1"}
    with_flash_attention(monkeypatch, object())
    assert fallback(knobs["MODEL"]) is None
    assert "attn_implementation" not in shlex.join(rl_launch("ppo", knobs, []).command)


def test_a_model_that_cannot_be_looked_at_is_padded(monkeypatch):
    with_flash_attention(monkeypatch, None)
    monkeypatch.setattr(attention, "_from_hub", lambda _: None)
    assert fallback("org/unknown") == Attention("sdpa", remove_padding=False)
