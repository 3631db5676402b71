"""Settings of retriever trainings: every key is in the YAML, small GPUs have the seed's, mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from drag_rl.errors import InputError
from drag_rl.models.reader.folder import WORDS
from drag_rl.retrieval.late.reader_model import MOST_CELLS
from drag_rl.training.launch.plans import retriever_launch
from drag_rl.training.retriever.options import RetrieverOptions, read_options

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MAIN = str(CONFIGS / "retriever.yaml")
HARDWARE = sorted((CONFIGS / "retriever_hardware").glob("*.yaml"))


def keys(tree, prefix=""):
    """The dotted names of a YAML's values."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def fields(model: type[BaseModel], prefix=""):
    """The dotted names of the options."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_the_yaml_has_every_option_with_its_default():
    assert sorted(keys(yaml.safe_load(Path(MAIN).read_text()))) == sorted(fields(RetrieverOptions))
    assert read_options([MAIN], []) == RetrieverOptions()


@pytest.mark.parametrize("path", HARDWARE, ids=lambda path: path.stem)
def test_every_hardware_file_is_taken_and_gives_way_to_options(path):
    own = set(keys(yaml.safe_load(path.read_text())))
    assert own and own <= set(fields(RetrieverOptions))
    assert read_options([MAIN, str(path)], ["seed=7", "lora.r=8"]).lora.r == 8


@pytest.mark.parametrize(
    ("memory", "batch", "accumulation", "rank", "pixels"),
    [("24gb", 1, 16, 16, 196608), ("32gb", 2, 8, 32, 262144)],
)
def test_small_gpus_have_the_settings_of_the_seed(memory, batch, accumulation, rank, pixels):
    options = read_options([MAIN, str(CONFIGS / f"retriever_hardware/gpu_{memory}.yaml")], [])
    assert (options.batch_size, options.gradient_accumulation_steps) == (batch, accumulation)
    assert (options.lora.r, options.lora.alpha, options.max_pixels) == (rank, rank, pixels)
    assert options.learning_rate == 2e-4 and options.gradient_checkpointing and options.bf16
    assert options.max_visual_tokens == pixels // 1024


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["lora.rank=8"], "options: unknown option 'lora.rank'; known options: r, alpha, dropout"),
        (["lr=1"], "options: unknown option 'lr'"),
        (
            ["loss.name=triplet"],
            "option 'loss.name': Input should be 'infonce', 'pairwise' or 'hard-negative'",
        ),
        (["loss.name=hard-negative"], "needs mined pages: set negatives.per_question to 1 or more"),
        (["loss.name=hard-negative", "negatives.per_question=1"], "set loss.both_directions=false"),
        (["load_in_4bit=true", "lora.r=0"], "load_in_4bit trains an adapter"),
        (["loss.temperature=0"], "option 'loss.temperature'"),
        (["batch_size=two"], "option 'batch_size'"),
        (["lora=8"], "option 'lora'"),
        (["=1"], "options: "),
    ],
)
def test_a_wrong_option_is_one_line(options, says):
    with pytest.raises(InputError) as error:
        read_options([MAIN], options)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_reader_is_trained_as_a_whole_by_its_file_which_gives_way_to_options():
    path = CONFIGS / "retriever_reader.yaml"
    own = set(keys(yaml.safe_load(path.read_text())))
    assert own <= set(fields(RetrieverOptions))
    for hardware in HARDWARE:
        options = read_options([MAIN, str(hardware), str(path)], ["batch_size=3"])
        assert (options.lora.r, options.train_vision_tower, options.batch_size) == (0, True, 3)
        assert options.max_visual_tokens == MOST_CELLS, (
            "no page is made smaller than it is when it is searched"
        )


def test_a_file_without_keys_is_refused(tmp_path):
    (tmp_path / "empty.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="options: "):
        read_options([str(tmp_path / "empty.yaml")], [])
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read_options([str(tmp_path / "nowhere.yaml")], [])


@pytest.fixture
def knobs(tmp_path):
    """Files that exist, as knobs."""
    (tmp_path / "pages").mkdir()
    for name in ("pages/pages.parquet", "questions.train.parquet", "questions.val.parquet"):
        (tmp_path / name).touch()
    (tmp_path / "model").mkdir()
    return {
        "MODEL": str(tmp_path / "model"),
        "PAGES": str(tmp_path / "pages"),
        "TRAIN": str(tmp_path / "questions.train.parquet"),
        "RUN": str(tmp_path / "run"),
        "HARDWARE": "gpu_8",
    }


def test_knobs_of_the_script(knobs, tmp_path):
    launch = retriever_launch(knobs, ["seed=2"])
    words = " ".join(launch.command)
    assert "--nproc_per_node=8 -m drag_rl.training.retriever.train" in words and words.endswith(" seed=2")
    assert f"--val {tmp_path}/questions.val.parquet" in words and "--adapter" not in words
    assert words.index("configs/retriever.yaml") < words.index("configs/retriever_hardware/gpu_8.yaml")
    assert launch.environment["HF_HUB_OFFLINE"] == "1"
    assert launch.environment["TENSORBOARD_LOGGING_DIR"] == f"{tmp_path}/run/tensorboard"
    other = knobs | {"VAL": "", "RANKS": "2", "ADAPTER": "mine", "HARDWARE": "gpu_24gb"}
    words = " ".join(retriever_launch(other, []).command)
    assert "--val" not in words and "--nproc_per_node=2" in words and "--adapter mine" in words
    assert "--nproc_per_node=1 " in " ".join(retriever_launch(other | {"RANKS": ""}, []).command)


def test_the_script_adds_what_a_reader_needs_after_the_machine(knobs, tmp_path):
    words = " ".join(retriever_launch(knobs, []).command)
    assert "retriever_reader" not in words
    (tmp_path / "model" / WORDS).touch()
    for reader in (knobs, knobs | {"MODEL": "reader"}):
        words = " ".join(retriever_launch(reader, ["seed=2"]).command)
        assert words.index("retriever_hardware/gpu_8.yaml") < words.index("configs/retriever_reader.yaml")
        assert words.endswith(" seed=2")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MODEL", "./model", "MODEL=./model: is neither a folder nor a hub id"),
        ("PAGES", "typo", "PAGES=typo has no pages.parquet: make it with 'drag ingest'"),
        ("TRAIN", "typo", "TRAIN=typo does not exist: make it with 'drag data'"),
        ("VAL", "typo", "VAL=typo does not exist"),
        ("HARDWARE", "typo", "HARDWARE=typo: use cpu, gpu_1, gpu_24gb, gpu_32gb or gpu_8"),
        ("RANKS", "0", "RANKS=0: give a whole number from 1"),
    ],
)
def test_a_wrong_knob_of_the_script_is_one_line(knobs, name, value, says):
    with pytest.raises(InputError) as error:
        retriever_launch(knobs | {name: value}, [])
    assert str(error.value) == says
