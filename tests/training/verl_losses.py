"""The first losses of verl's own SFT trainer: ``python verl_losses.py`` reads cases as JSON and writes their losses.

It is a process of its own because verl changes transformers' models, which compute the losses to compare with.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def first_loss(options: list[str]) -> float:
    """The loss of the first step, which is before any update; the configuration is that of scripts/run_sft.sh."""
    import verl  # noqa: F401  (loads the plugin)
    from hydra import compose, initialize_config_dir
    from verl.trainer.sft_trainer import run_sft

    once = ["trainer.total_training_steps=1", "trainer.save_freq=-1", "trainer.test_freq=-1"]
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        once += ["trainer.logger=[file]", f"trainer.default_local_dir={folder}/checkpoints"]
        with initialize_config_dir(str(ROOT / "configs"), version_base=None):
            config = compose("sft", [*once, *options])
        log = Path(folder) / "log.jsonl"
        probe.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_PORT": str(probe.getsockname()[1]), "VERL_FILE_LOGGER_PATH": str(log)}
        probe.close()
        run_sft(config)
        rows = map(json.loads, log.read_text().splitlines())
        return next(row["data"]["train/loss"] for row in rows if "train/loss" in row["data"])


if __name__ == "__main__":
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "DRAG_PLUGIN": "1"}
    cases = json.load(sys.stdin)
    losses = [first_loss(case) for case in cases]
    Path(sys.argv[1]).write_text(json.dumps(losses))
