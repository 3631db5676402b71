"""The knobs of the launch scripts: settings from the environment, each checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drag_rl.errors import InputError
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.protocol import MESSAGE_TOKENS
from drag_rl.sft_options import MASK_STRATEGIES, WEIGHT_SCHEMES


@dataclass(frozen=True, slots=True)
class Text:
    """Any text: a path, a model's name, options of another program."""

    default: str = ""
    may_be_empty: bool = False
    """Whether an empty value says something; if not, it means the default, as in a shell."""

    def problem(self, _value: str) -> str | None:
        """Nothing is wrong with a text by itself."""
        return None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    default: str
    least: int = 0
    may_be_empty = False

    def problem(self, value: str) -> str | None:
        """What is wrong with ``value``; None: nothing.

        >>> Whole("1", least=1).problem("x")
        'give a whole number from 1'
        """
        fits = re.fullmatch("0|[1-9][0-9]{0,8}", value) and int(value) >= self.least
        return None if fits else f"give a whole number from {self.least}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; the first is the default."""

    words: tuple[str, ...]
    may_be_empty = False

    @property
    def default(self) -> str:
        """The first word."""
        return self.words[0]

    def problem(self, value: str) -> str | None:
        """What is wrong with ``value``; None: nothing.

        >>> Choice(("torchrun", "ray")).problem("slurm")
        'use torchrun or ray'
        """
        if value in self.words:
            return None
        return f"use {' or '.join(filter(None, (', '.join(self.words[:-1]), self.words[-1])))}"


Knob = Text | Whole | Choice

MODEL = Text("Qwen/Qwen3-VL-8B-Instruct")
SWITCH = Choice(("0", "1"))
_RL: dict[str, Knob] = {
    "MODEL": MODEL,
    "DATA": Text("data"),
    "RUN": Text(),
    "HARDWARE": Text(),
    "VAL": Text(),
    "LORA_RANK": Whole("0"),
    "ADAPTER": Text(),
    "WANDB": SWITCH,
}
_SFT: dict[str, Knob] = {
    "MODEL": MODEL,
    "TRAIN": Text("training_data/sft_trajectory_train.parquet"),
    "VAL": Text(may_be_empty=True),
    "RUN": Text("runs/sft"),
    "HARDWARE": Text(),
    "LORA_RANK": Whole("0"),
    "MASK": Choice(MASK_STRATEGIES),
    "WEIGHT": Choice(WEIGHT_SCHEMES.choices()),
    "RANKS": Whole("", least=1),
    "LAUNCHER": Choice(("torchrun", "ray")),
    "WANDB": SWITCH,
}
KNOBS: dict[str, dict[str, Knob]] = {
    "grpo": _RL | {"RUN": Text("runs/grpo")},
    "ppo": _RL | {"RUN": Text("runs/ppo")},
    "sft": _SFT,
    "dpo": {
        "MODEL": MODEL,
        "TRAIN": Text("training_data/dpo_train.parquet"),
        "VAL": Text(may_be_empty=True),
        "RUN": Text("runs/dpo"),
        "HARDWARE": Text(),
        "RANKS": Whole("", least=1),
    },
    "retriever": {
        "MODEL": Text("Qwen/Qwen3-VL-4B-Instruct"),
        "PAGES": Text("data/pages"),
        "TRAIN": Text("data/questions.train.parquet"),
        "VAL": Text(may_be_empty=True),
        "ADAPTER": Text(),
        "RUN": Text("runs/retriever"),
        "HARDWARE": Text(),
        "RANKS": Whole("", least=1),
    },
    "star": {
        **{name: _SFT[name] for name in ("MODEL", "HARDWARE", "LORA_RANK", "MASK", "WEIGHT")},
        **{name: _SFT[name] for name in ("RANKS", "LAUNCHER", "WANDB")},
        "DATA": Text("data"),
        "RUN": Text("runs/star"),
        "SAMPLES": Whole("4", least=1),
        "SAMPLING": Choice(("default", *(name for name in SAMPLINGS if name != "default"))),
        "LIMIT": Whole("0"),
        "EPISODE": Text(),
        "FIRST_EPISODE": Text(),
        "HINTS": SWITCH,
        "FORMAT": Choice(("sft_trajectory", "sft_query", "sft_best", "sft_context")),
        "ABOVE_MEAN": SWITCH,
        "PER_QUESTION": Whole("2"),
        "MAX_TOKENS": Whole(str(MESSAGE_TOKENS), least=1),
        "CONCURRENCY": Whole("64", least=1),
        "VAL": Text(may_be_empty=True),
        "SEED": Whole("1"),
        "VLLM": Text(),
    },
    "check": {"HARDWARE": Text(), "MODEL": Text(), "RUN": Text("runs/check")},
}
"""Script -> its knobs: name in the environment -> what it takes."""


def read_knobs(script: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Every knob of ``script`` with its value or default. Raises InputError that names a wrong one.

    A ``VAL`` that is not set is absent: empty, it says that there is to be no validation.
    """
    values: dict[str, str] = {}
    for name, knob in KNOBS[script].items():
        value = environment.get(name)
        if value is None and knob.may_be_empty:
            continue
        if not value and not knob.may_be_empty:
            values[name] = knob.default
            continue
        problem = knob.problem(value or "")
        if problem:
            raise InputError(f"{name}={value}: {problem}")
        values[name] = value or ""
    return values
