"""The last checkpoint of a run as something to serve: a model, or a PEFT adapter.

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
from pathlib import Path
from typing import Annotated, Any

import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError

PROCESSOR_FILES = (
    "*token*.json", "vocab.json", "merges.txt", "chat_template*", "*processor_config.json", "generation_config.json"
)  # fmt: skip
WORK_FOLDER = ".unfinished"


def export_run(run: Path, out: Path | None = None) -> Path:
    """Write ``RUN/model`` or, for a LoRA run, ``RUN/adapter`` (or ``out``); returns the folder.

    Raises:
        InputError: The folder holds no finished checkpoint.
    """
    checkpoint = _last_checkpoint(run)
    base, lora_alpha = _base_and_alpha(run)
    merged = (out or run / "model").with_name(WORK_FOLDER)
    shutil.rmtree(merged, ignore_errors=True)  # what a kill has left
    _merge(checkpoint, merged)
    adapter = merged / "lora_adapter"
    if adapter.is_dir():
        config_path = adapter / "adapter_config.json"
        config = json.loads(config_path.read_text())
        config |= {"base_model_name_or_path": base, "lora_alpha": lora_alpha}
        config_path.write_text(json.dumps(config, indent=2) + "\n")
        target = _publish(adapter, out or run / "adapter")
        shutil.rmtree(merged)
        return target
    if Path(base).is_dir():
        for pattern in PROCESSOR_FILES:
            for path in Path(base).glob(pattern):
                shutil.copy(path, merged)
    return _publish(merged, out or run / "model")


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
    config = yaml.safe_load(path.read_text())
    model: dict[str, Any] = config["model"] if "model" in config else config["actor_rollout_ref"]["model"]
    start = model.get("lora_adapter_path")
    if start:
        adapter = json.loads((Path(start) / "adapter_config.json").read_text())
        return str(model["path"]), int(adapter["lora_alpha"])
    return str(model["path"]), int(model["lora_alpha"])


def _merge(checkpoint: Path, target: Path) -> None:
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    command += ["--local_dir", str(checkpoint), "--target_dir", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if result.returncode:
        said = result.stderr.strip() or "it gave no reason"
        raise InputError(f"{checkpoint}: verl's merger failed: {said.splitlines()[-1]}")


def _publish(folder: Path, target: Path) -> Path:
    """Put a finished folder in its place, whole at any moment; an older one is replaced."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


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
