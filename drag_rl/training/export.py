"""Export the last checkpoint of a run as something to serve: a model, or a PEFT adapter.

    python -m drag_rl.training.export --run RUN

works on runs of ``run_sft.sh``, ``run_grpo.sh`` and ``run_ppo.sh``. verl's own merger joins the shards; what it
leaves out (an adapter's base model and alpha, a processor) comes from the run's configuration and its base model.

The merger stores bfloat16, whatever the checkpoint holds (float32 master weights, in our runs). That is what the
policy computed with wherever training and rollout run in bfloat16, as our configurations do. A run that computes in
float32 (``param_dtype=fp32``) loses the digits past the third: resume it from its checkpoint rather than from here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_folder, new_folder, work_folder
from drag_rl.files.manifest import write_manifest
from drag_rl.models.folder import folder_fingerprint

PROCESSOR_FILES = (
    "*token*.json", "vocab.json", "merges.txt", "chat_template*", "*processor_config.json", "generation_config.json"
)  # fmt: skip
STAGE = "export"


def export_run(run: Path, out: Path | None = None) -> Path:
    """Write ``RUN/model`` or, for a LoRA run, ``RUN/adapter`` (or ``out``); returns the folder.

    An earlier export there is replaced when the new one is whole.

    Raises:
        InputError: The run has no finished checkpoint, or what lies where the result would go is no export.
    """
    started = time.monotonic()
    checkpoint = _last_checkpoint(run)
    base, lora_alpha = _base_and_alpha(run)
    for place in [out] if out else [run / "model", run / "adapter"]:
        claim_folder(place, STAGE)
    with work_folder(run, STAGE) as work:
        merged = work / "merged"
        _merge(checkpoint, merged)
        adapter = merged / "lora_adapter"
        if adapter.is_dir():
            _complete_adapter(adapter, base, lora_alpha)
        else:
            _complete_model(merged, base)
        content, name = (adapter, "adapter") if adapter.is_dir() else (merged, "model")
        with new_folder(out or run / name, STAGE) as folder:
            for path in content.iterdir():
                shutil.move(path, folder)
            write_manifest(
                folder,
                stage=STAGE,
                fingerprint=folder_fingerprint(folder),
                config={"checkpoint": str(checkpoint), "base": base},
                seconds=time.monotonic() - started,
                packages=("torch", "transformers", "verl"),
            )
    return out or run / name


def _complete_adapter(adapter: Path, base: str, lora_alpha: int) -> None:
    config_path = adapter / "adapter_config.json"
    config = json.loads(config_path.read_text())
    config |= {"base_model_name_or_path": base, "lora_alpha": lora_alpha}
    config_path.write_text(json.dumps(config, indent=2) + "\n")


def _complete_model(model: Path, base: str) -> None:
    if Path(base).is_dir():
        for pattern in PROCESSOR_FILES:
            for path in Path(base).glob(pattern):
                shutil.copy(path, model)


def _last_checkpoint(run: Path) -> Path:
    marker = run / "checkpoints" / "latest_checkpointed_iteration.txt"
    if not marker.is_file():
        raise InputError(
            f"{run}: has no finished checkpoint (trainer.save_freq), so there is nothing to export"
        )
    step = run / "checkpoints" / f"global_step_{marker.read_text().strip()}"
    return step / "actor" if (step / "actor").is_dir() else step


def _base_and_alpha(run: Path) -> tuple[str, int]:
    import yaml

    path = run / "hydra" / ".hydra" / "config.yaml"
    if not path.is_file():
        raise InputError(f"{path}: does not exist; is {run} a run folder of scripts/run_*.sh?")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        model: dict[str, Any] = config["model"] if "model" in config else config["actor_rollout_ref"]["model"]
        alpha, start = model["lora_alpha"], model.get("lora_adapter_path")
        if start:
            path = Path(start) / "adapter_config.json"
            alpha = json.loads(path.read_text(encoding="utf-8"))["lora_alpha"]
        return str(model["path"]), int(alpha)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: does not say what was trained ({said}); {run} cannot be exported"
        ) from error


def _merge(checkpoint: Path, target: Path) -> None:
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    command += ["--local_dir", str(checkpoint), "--target_dir", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if result.returncode:
        said = result.stderr.strip() or "it gave no reason"
        raise InputError(f"{checkpoint}: verl's merger failed: {said.splitlines()[-1]}")


def main(
    run: Annotated[Path, typer.Option(help="Folder of the run.")],
    out: Annotated[Path | None, typer.Option(help="Where to.  [default: RUN/model or RUN/adapter]")] = None,
) -> None:
    """Export the last checkpoint of a training run as a model or an adapter."""
    typer.echo(f"exported: {export_run(run, out)}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app, "export")
