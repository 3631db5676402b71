"""DPO on pairs of ``drag format``: TRL's trainer, a PEFT adapter, our rows.

    python -m drag_rl.training.dpo --config configs/dpo.yaml --model MODEL --train dpo_train.parquet --out RUN beta=0.2

resumes from the last checkpoint of ``RUN`` and ends with ``RUN/adapter``. Options are those of ``configs/dpo.yaml``.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_folder, new_folder
from drag_rl.files.manifest import sha256_file, write_manifest
from drag_rl.models.folder import folder_fingerprint

STAGE = "dpo"


def train_dpo(model: str, train: Path, val: Path | None, run: Path, options: dict[str, Any]) -> Path:
    """Train an adapter and write it to ``run/adapter``; returns that folder.

    Raises:
        InputError: A file holds no pairs, one that is longer than ``max_length``, or an image that cannot be read; an
            option is unknown; or ``run/adapter`` holds something else than an earlier run's.
    """
    started = time.monotonic()
    adapter = run / "adapter"
    claim_folder(adapter, STAGE)
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )
    from trl import DPOConfig, DPOTrainer

    from drag_rl.training.dpo_pairs import PageImageCollator, read_pairs, shows_images, without_images

    lora = dict(options.pop("lora"))
    on_cpu = not torch.cuda.is_available()
    try:
        arguments = DPOConfig(
            output_dir=str(run / "checkpoints"),
            eval_strategy="epoch" if val else "no",
            use_cpu=on_cpu,
            bf16=not on_cpu,
            **options,
        )
    except TypeError as error:
        raise InputError(f"configs/dpo.yaml and options: {error}") from None
    sees = hasattr(AutoConfig.from_pretrained(model), "vision_config")
    processor = (AutoProcessor if sees else AutoTokenizer).from_pretrained(model)
    pairs = {
        "train": read_pairs(train, processor, arguments.max_length),
        "val": read_pairs(val, processor, arguments.max_length) if val else [],
    }
    if not pairs["train"]:
        raise InputError(
            f"{train}: holds no pairs; collect more samples of a question, or lower `drag format --margin`"
        )
    images = shows_images(pairs["train"] + pairs["val"])
    if not images:  # then TRL tokenises once, not batch by batch
        pairs = {split: list(map(without_images, rows)) for split, rows in pairs.items()}
    loader = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    trainer = DPOTrainer(
        model=loader.from_pretrained(model, dtype=torch.float32 if on_cpu else torch.bfloat16),
        args=arguments,
        data_collator=PageImageCollator(processor, arguments.max_length) if images else None,
        train_dataset=Dataset.from_list(pairs["train"]),
        eval_dataset=Dataset.from_list(pairs["val"]) if pairs["val"] else None,
        processing_class=processor if images else getattr(processor, "tokenizer", processor),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora),
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(Path(arguments.output_dir)))
    if trainer.is_world_process_zero():
        with new_folder(adapter, STAGE) as folder:
            trainer.model.save_pretrained(folder)
            write_manifest(
                folder,
                stage=STAGE,
                fingerprint=folder_fingerprint(folder),
                inputs={"train": sha256_file(train)},
                config={"model": model, "lora": lora, **options},
                seconds=time.monotonic() - started,
                packages=("peft", "torch", "transformers", "trl"),
            )
    return adapter


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint of a run, None without one; what a kill has left of others is removed.

    The trainer names them ``checkpoint-<step>``, what else is there is the user's; ``trainer_state.json`` comes last.
    """
    whole = []
    for path in folder.glob("checkpoint-*"):
        if not re.fullmatch(r"checkpoint-\d+", path.name) or path.is_symlink():
            continue
        try:
            whole.append((json.loads((path / "trainer_state.json").read_text())["global_step"], str(path)))
        except (OSError, ValueError, KeyError, TypeError):
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, default=(0, None))[1]


def main(
    model: Annotated[str, typer.Option(help="Path or hub id of the model to start from.")],
    train: Annotated[Path, typer.Option(help="dpo_train.parquet of `drag format`.")],
    run: Annotated[Path, typer.Option("--out", help="Folder of this run.")],
    config: Annotated[Path, typer.Option(help="configs/dpo.yaml.")],
    options: Annotated[
        list[str] | None, typer.Argument(help="name=value: any key of configs/dpo.yaml.")
    ] = None,
    val: Annotated[Path | None, typer.Option(help="dpo_val.parquet; none: no evaluation.")] = None,
) -> None:
    """Train an adapter on preference pairs with TRL's DPO."""
    try:
        merged = OmegaConf.merge(OmegaConf.load(config), OmegaConf.from_dotlist(options or []))
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"options: {' '.join(str(error).split())}") from None
    values: dict[str, Any] = OmegaConf.to_container(merged, resolve=True)
    typer.echo(f"adapter: {train_dpo(model, train, val, run, values)}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app, "dpo")
