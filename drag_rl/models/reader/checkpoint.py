"""The state of a training in one file of safetensors, whole or not at all: weights, optimizers, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from drag_rl.files.manifest import atomic_path
from drag_rl.models.reader.learner import Learner


def save_checkpoint(path: Path, learner: Learner, facts: dict[str, str]) -> None:
    """Write the state and some facts."""
    tensors = {f"weights.{name}": value for name, value in learner.state_dict().items()}
    for number, optimizer in enumerate(learner.optimizers):
        for place, state in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{number}.{place}.{name}": value for name, value in state.items()})
    with atomic_path(path) as part:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, part, facts)


def load_checkpoint(path: Path, learner: Learner) -> dict[str, str]:
    """Put a state into a learner of the same settings; returns the facts."""
    with safe_open(path, "pt") as file:
        facts: dict[str, str] = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    learner.load_state_dict(
        {
            name.removeprefix("weights."): value
            for name, value in tensors.items()
            if name.startswith("weights.")
        }
    )
    for number, optimizer in enumerate(learner.optimizers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(f"optimizer.{number}."):
                _, _, place, key = name.split(".")
                state.setdefault(int(place), {})[key] = value
        whole: dict[str, Any] = optimizer.state_dict()
        optimizer.load_state_dict({**whole, "state": state})
    return facts
