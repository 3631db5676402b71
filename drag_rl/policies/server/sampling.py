"""How a model's words are drawn: a table of named settings, and a seed for every message."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from drag_rl.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """One way to sample."""

    temperature: float
    """0 takes the most probable token; higher is more random."""
    top_p: float
    """Draw from the most probable tokens that together have this probability, in (0, 1]."""
    repetition_penalty: float = 1.0
    """Divides the scores of tokens that occurred before; 1 means none. No part of OpenAI's API, but of vLLM's."""


SAMPLINGS: Table[Sampling] = Table(
    "sampling",
    {
        "greedy": Sampling(temperature=0.0, top_p=1.0),
        "low_temp": Sampling(temperature=0.3, top_p=0.9),
        "default": Sampling(temperature=0.7, top_p=0.95),
        "high_temp": Sampling(temperature=1.0, top_p=0.95),
        "creative": Sampling(temperature=1.2, top_p=0.95),
        "diverse": Sampling(temperature=0.9, top_p=0.98, repetition_penalty=1.05),
    },
    group="drag_rl.samplings",
)
"""Name -> setting: a new one is a new line here. Greedy makes thinking models repeat themselves; default reads best."""


def message_seed(seed: int, question_id: str, sample: int, turn: int) -> int:
    """The seed of one message, in [0, 2^31): the same for the same arguments, on every machine.

    >>> message_seed(0, "faq-1", sample=0, turn=1), message_seed(0, "faq-1", sample=1, turn=1)
    (1820868895, 655450359)
    """
    digest = hashlib.sha256(f"{seed}\0{question_id}\0{sample}\0{turn}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
