"""Stand-ins for the programs that a launch script starts: each tells how it was called, and makes what comes next."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDE = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
"""In a stand-in's package: modules that have no stand-in are the real ones."""
TELL = """
import os, sys
names = ("MODEL", "TRAIN", "VAL", "RUN", "LORA_RANK", "MASK", "WEIGHT", "RANKS", "VERL_PLATFORM")
with open(os.environ["CALLS"], "a") as file:
    print([sys.argv, {name: os.environ[name] for name in names if name in os.environ}], file=file)
"""
"""It imports what Python has loaded when it starts, as a script calls twenty of these."""


def stand_ins(folder: Path, modules: Mapping[str, str]) -> dict[str, str]:
    """Write modules that tell and then run the text given for each; returns the environment that puts them first."""
    for module, text in modules.items():
        (folder / module).parent.mkdir(parents=True, exist_ok=True)
        (folder / module).write_text(TELL + text)
        for package in list(Path(module).parents)[:-1]:
            (folder / package / "__init__.py").write_text(BESIDE)
    return {"PYTHONPATH": f"{folder}:{ROOT}", "CALLS": str(folder / "calls")}


def told(environment: Mapping[str, str]) -> list[tuple[list[str], dict[str, str]]]:
    """The command line and the knobs of each call since the last time this was asked."""
    calls = Path(environment["CALLS"])
    lines = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return [tuple(literal_eval(line)) for line in lines]
