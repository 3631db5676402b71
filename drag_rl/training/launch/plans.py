"""What each launch script starts: its knobs as a command line of verl's or our trainer."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drag_rl.cpu.arithmetic import fast_dtype
from drag_rl.errors import InputError
from drag_rl.models.reader.folder import names_reader
from drag_rl.training.launch.attention import fallback
from drag_rl.training.launch.knobs import read_knobs
from drag_rl.training.launch.overrides import override, rows_override
from drag_rl.training.launch.trainer import Launch

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
RETRIEVER_HARDWARE = "retriever_hardware"
LORA_LR = "2e-4"
"""SFT's learning rate of an adapter."""
NO_VISION_TOWER = ".*visual.*"
RL_ENGINES = ("actor_rollout_ref.actor.fsdp_config", "actor_rollout_ref.ref.fsdp_config", "critic.fsdp")
"""Where the arithmetic of policy, reference and critic is set."""
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def rl_launch(algorithm: str, environment: Mapping[str, str], options: Sequence[str]) -> Launch:
    """GRPO or PPO in verl. ``options`` are Hydra overrides, which come last."""
    knobs = read_knobs(algorithm, environment)
    hardware = known_hardware(knobs["HARDWARE"], "hardware")
    data, model = Path(knobs["DATA"]), _model(knobs["MODEL"])
    for name in ("index", "questions.train.parquet"):
        if not (data / name).exists():
            raise InputError(f"DATA={data} has no {name}: build it first (docs/data.md)")
    validation = _validation_questions(data, knobs["VAL"])
    rank = int(knobs["LORA_RANK"])
    adapter = knobs["ADAPTER"]
    if adapter:
        rank = _adapter_rank(Path(adapter))
    data, run = _absolute(data), _absolute(Path(knobs["RUN"]))
    settings = [
        f"hardware={hardware}",
        override("actor_rollout_ref.model.path", model),
        override("drag.index", str(data / "index")),
        rows_override("data.train_files", str(data / "questions.train.parquet")),
        rows_override("data.val_files", str(_absolute(validation))),
        override("trainer.default_local_dir", str(run / "checkpoints")),
        override("trainer.rollout_data_dir", str(run / "rollouts")),
        override("trainer.validation_data_dir", str(run / "validation")),
        override("trainer.experiment_name", run.name),
    ]
    if (data / "pages").is_dir():
        settings.append(override("drag.pages", str(data / "pages")))
    if knobs["WANDB"] == "1":
        settings.append("trainer.logger=[console,tensorboard,wandb]")
    if adapter:
        settings.append(override("actor_rollout_ref.model.lora_adapter_path", str(_absolute(Path(adapter)))))
    if rank:
        settings += [
            f"actor_rollout_ref.model.lora_rank={rank}",
            f"actor_rollout_ref.model.lora_alpha={rank}",
            "actor_rollout_ref.model.target_modules=all-linear",
            override("actor_rollout_ref.model.exclude_modules", NO_VISION_TOWER),
            "actor_rollout_ref.rollout.load_format=safetensors",
        ]
    attention, notes = _attention(hardware, model, "actor_rollout_ref.model", "critic.model")
    if hardware == "cpu" and fast_dtype() == "float32":
        settings.append("actor_rollout_ref.rollout.dtype=float32")
        settings += [f"{engine}.mixed_precision.param_dtype=fp32" for engine in RL_ENGINES]
    command = _hydra_command("-m verl.trainer.main_ppo", algorithm, run)
    return Launch(
        run=run,
        command=[*command, *settings, *attention, *options],
        environment=_offline(model) | {"TENSORBOARD_DIR": str(run / "tensorboard")},
        notes=[*notes, f"{algorithm} on {hardware}, run folder {run}, log {run / 'train.log'}"],
    )


def sft_launch(environment: Mapping[str, str], options: Sequence[str]) -> Launch:
    """SFT in verl, by torchrun or as a Ray job. ``options`` are Hydra overrides, which come last."""
    knobs = read_knobs("sft", environment)
    hardware = known_hardware(knobs["HARDWARE"], "sft_hardware")
    train, validation = _training_rows(knobs, "drag format")
    run, model = _absolute(Path(knobs["RUN"])), _model(knobs["MODEL"])
    ranks = int(knobs["RANKS"] or _ranks_of(hardware))
    settings = [
        f"sft_hardware={hardware}",
        override("model.path", model),
        override("data.train_files", str(_absolute(train))),
        f"data.drag.mask_strategy={knobs['MASK']}",
        f"data.drag.weight_scheme={knobs['WEIGHT']}",
        override("trainer.default_local_dir", str(run / "checkpoints")),
        override("trainer.experiment_name", run.name),
        f"trainer.n_gpus_per_node={ranks}",
    ]
    if validation:
        settings.append(override("data.val_files", str(_absolute(validation))))
    else:
        settings.append("trainer.test_freq=-1")
    if knobs["WANDB"] == "1":
        settings.append("trainer.logger=[console,tensorboard,file,wandb]")
    rank = int(knobs["LORA_RANK"])
    if rank:
        settings += [f"model.lora_rank={rank}", f"model.lora_alpha={2 * rank}", f"optim.lr={LORA_LR}"]
        settings.append(override("model.exclude_modules", NO_VISION_TOWER))
    attention, notes = _attention(hardware, model, "model")
    if hardware == "cpu" and fast_dtype() == "float32":
        settings.append("engine.mixed_precision.param_dtype=fp32")
    # verl opens its metrics file anew at each start; a resumed run must not lose the earlier ones.
    metrics = run / "metrics" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl"
    added = _offline(model) | {"TENSORBOARD_DIR": str(run / "tensorboard")}
    added["VERL_FILE_LOGGER_PATH"] = str(metrics)
    added["DRAG_PLUGIN"] = "1"  # the plugin acts; configs/search.yaml says so to the workers of GRPO and PPO
    if knobs["LAUNCHER"] == "ray":
        program = "-m verl.trainer.sft_trainer_ray"
        if hardware == "cpu":  # verl asks Ray for one GPU a rank; here a rank is a process
            added["RAY_OVERRIDE_RESOURCES"] = json.dumps({"GPU": ranks, "CPU": 16 * ranks})
    else:
        program = f"{_torchrun(ranks)} -m verl.trainer.sft_trainer"
    command = _hydra_command(program, "sft", run)
    return Launch(
        run=run,
        command=[*command, *settings, *attention, *options],
        environment=added,
        notes=[*notes, f"{model} on {hardware} ({knobs['LAUNCHER']}, {ranks} ranks), run folder {run}"],
    )


def dpo_launch(environment: Mapping[str, str], options: Sequence[str]) -> Launch:
    """DPO with TRL. ``options`` are keys of configs/dpo.yaml, name=value."""
    knobs = read_knobs("dpo", environment)
    hardware = known_hardware(knobs["HARDWARE"], "sft_hardware")
    train, validation = _training_rows(knobs, "drag format --formats dpo")
    run, model = Path(knobs["RUN"]), _model(knobs["MODEL"])
    ranks = int(knobs["RANKS"] or _ranks_of(hardware))
    command = [sys.executable, *_torchrun(ranks).split(), "-m", "drag_rl.training.dpo"]
    command += ["--model", model, "--train", str(train), "--out", str(run)]
    command += ["--config", str(CONFIGS / "dpo.yaml")]
    if validation:
        command += ["--val", str(validation)]
    return Launch(
        run=run,
        command=[*command, *options],
        environment=_offline(model) | {"TENSORBOARD_LOGGING_DIR": str(run / "tensorboard")},
    )


def retriever_launch(environment: Mapping[str, str], options: Sequence[str]) -> Launch:
    """A retriever with sentence-transformers. ``options`` are keys of configs/retriever.yaml, name=value."""
    knobs = read_knobs("retriever", environment)
    hardware = known_hardware(knobs["HARDWARE"], RETRIEVER_HARDWARE)
    pages, train, run, model = Path(knobs["PAGES"]), Path(knobs["TRAIN"]), Path(knobs["RUN"]), knobs["MODEL"]
    if not (pages / "pages.parquet").is_file():
        raise InputError(f"PAGES={pages} has no pages.parquet: make it with 'drag ingest'")
    if not train.is_file():
        raise InputError(f"TRAIN={train} does not exist: make it with 'drag data'")
    beside = train.with_name(train.name.replace(".train.", ".val."))
    validation: Path | None = beside if beside != train and beside.is_file() else None
    if "VAL" in knobs:
        validation = Path(knobs["VAL"]) if knobs["VAL"] else None
        if validation and not validation.is_file():
            raise InputError(f"VAL={validation} does not exist")
    ranks = int(knobs["RANKS"] or (8 if hardware == "gpu_8" else 1))
    command = [sys.executable, *_torchrun(ranks).split(), "-m", "drag_rl.training.retriever.train"]
    command += ["--model", _model(model), "--pages", str(pages), "--train", str(train), "--out", str(run)]
    configs = [CONFIGS / "retriever.yaml", CONFIGS / RETRIEVER_HARDWARE / f"{hardware}.yaml"]
    if names_reader(model):
        configs.append(CONFIGS / "retriever_reader.yaml")
        if hardware == "cpu" and fast_dtype() == "float32":
            options = ["bf16=false", *options]
    for config in configs:
        command += ["--config", str(config)]
    if validation:
        command += ["--val", str(validation)]
    if knobs["ADAPTER"]:
        command += ["--adapter", knobs["ADAPTER"]]
    return Launch(
        run=run,
        command=[*command, *options],
        environment=_offline(model) | {"TENSORBOARD_LOGGING_DIR": str(run / "tensorboard")},
        notes=[f"{model} on {hardware} ({ranks} ranks), run folder {run}, log {run / 'train.log'}"],
    )


def steps_are_done(run: Path, options: Sequence[str]) -> int:
    """The steps of an SFT run that has already taken all of ``trainer.total_training_steps``; else 0.

    Resumed at its last step, verl would take one more.
    """
    asked = [
        option.partition("=")[2] for option in options if option.startswith("trainer.total_training_steps=")
    ]
    marker = run / "checkpoints" / "latest_checkpointed_iteration.txt"
    if not asked or not asked[-1].isdecimal() or not marker.is_file():
        return 0
    return int(asked[-1]) if int(marker.read_text()) >= int(asked[-1]) else 0


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (links stay as they are named)


def _offline(model: str) -> dict[str, str]:
    return {"HF_HUB_OFFLINE": "1"} if Path(model).is_dir() else {}


def _hydra_command(program: str, config: str, run: Path) -> list[str]:
    command = [sys.executable, *program.split(), "--config-path", str(CONFIGS), "--config-name", config]
    return [*command, override("hydra.run.dir", str(run / "hydra"))]


def _torchrun(ranks: int) -> str:
    return f"-m torch.distributed.run --standalone --nnodes=1 --nproc_per_node={ranks}"


def known_hardware(name: str, group: str) -> str:
    """``name`` if it is a file of ``configs/<group>``. Raises InputError for any other."""
    known = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    if name not in known:
        raise InputError(f"HARDWARE={name}: use {', '.join(known[:-1])} or {known[-1]}")
    return name


def _ranks_of(hardware: str) -> int:
    import yaml

    return int(
        yaml.safe_load((CONFIGS / "sft_hardware" / f"{hardware}.yaml").read_text())["trainer"][
            "n_gpus_per_node"
        ]
    )


def _model(name: str) -> str:
    if not Path(name).is_dir() and not _HUB_ID.fullmatch(name):
        raise InputError(f"MODEL={name}: is neither a folder nor a hub id")
    return name


def _attention(hardware: str, model: str, *parts: str) -> tuple[list[str], list[str]]:
    attention = None if hardware == "cpu" else fallback(model)
    return (list(attention.overrides(*parts)), [str(attention)]) if attention else ([], [])


def _validation_questions(data: Path, named: str) -> Path:
    if named:
        if not Path(named).is_file():
            raise InputError(f"VAL={named} does not exist")
        return Path(named)
    for split in ("val", "test"):
        path = data / f"questions.{split}.parquet"
        if path.is_file():
            return path
    raise InputError(f"DATA={data} has no questions.val.parquet: name one by VAL=")


def _training_rows(knobs: Mapping[str, str], made_by: str) -> tuple[Path, Path | None]:
    """Files of training and validation rows; a validation file without rows counts as none."""
    import pyarrow.parquet as pq

    train = Path(knobs["TRAIN"])
    if not train.is_file():
        raise InputError(f"TRAIN={train} does not exist: make it with '{made_by}'")
    if "VAL" in knobs:
        validation = Path(knobs["VAL"]) if knobs["VAL"] else None
        if validation and not validation.is_file():
            raise InputError(f"VAL={validation} does not exist")
    else:
        beside = train.with_name(re.sub(r"_train\.parquet$", "_val.parquet", train.name))
        validation = beside if beside != train and beside.is_file() else None
    if validation and not pq.read_metadata(validation).num_rows:
        validation = None
    return train, validation


def _adapter_rank(folder: Path) -> int:
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise InputError(f"ADAPTER={folder} has no adapter_config.json: name RUN/adapter of run_sft.sh")
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["r"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: is no configuration of a LoRA adapter") from None
