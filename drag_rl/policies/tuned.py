"""What ``drag tune`` found: a small JSON file that ``--policy-options`` takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write

FORMAT: Literal["drag-rl tuned 1"] = "drag-rl tuned 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A value of a threshold, and what the policy did with it; means over questions."""

    value: float
    searches: float
    """Until the policy stopped; reading on does not count."""
    success: float
    """The share of the questions for which a gold page was among the top k of one of these searches, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A threshold for one mean number of searches."""

    format: Literal["drag-rl tuned 1"] = FORMAT
    policy: str
    settings: dict[str, Any]
    """All settings that were said of the policy, with the threshold that was found."""
    tunable: str
    """The name of the threshold."""
    asked_searches: float
    """The mean number of searches that was asked for."""
    found: Tried
    low: float
    """The lower end of the 95 % interval of ``found.searches``, over questions."""
    high: float
    questions: int
    """Questions that were played."""
    tried: tuple[Tried, ...]
    """Every value that was played, by value; where one run told all, the ends and those nearest to what was asked."""
    model: str
    fingerprints: dict[str, str]
    """Of the questions' file, the index, and what the policy is made from."""
    config: dict[str, Any]
    """What else shaped the episodes."""

    def write(self, path: Path) -> None:
        """Write it, all or nothing. Raises InputError where the path holds something else than an earlier result."""
        if path.exists() and not is_tuned(_read(path)):
            raise InputError(f"--output {path}: is there, and not what drag tune wrote; give another name")
        with atomic_write(path) as file:
            json.dump(asdict(self), file, ensure_ascii=False, indent=1, allow_nan=False)
            file.write("\n")


def is_tuned(found: object) -> bool:
    """Whether a value, as JSON has it, is a result of ``drag tune``."""
    return isinstance(found, Mapping) and found.get("format") == FORMAT


def own_settings(said: Mapping[str, Any], policy: str) -> Mapping[str, Any]:
    """The settings of a policy of this name, where a result of ``drag tune`` may be among what is said of it.

    What is said beside it wins. Raises InputError for a result of another policy.

    >>> tuned = {"format": FORMAT, "policy": "flare", "settings": {"threshold": 0.3}, "questions": 9}
    >>> own_settings(tuned | {"mask": 0.2}, "flare")
    {'threshold': 0.3, 'mask': 0.2}
    """
    if not is_tuned(said):
        return said
    if said.get("policy") != policy:
        raise InputError(
            f"--policy-options: the file was tuned for --policy {said.get('policy')}, not {policy}"
        )
    tuned = said.get("settings")
    if not isinstance(tuned, Mapping):
        raise InputError("--policy-options: the tuned file has no settings; make it again with drag tune")
    fields = Tuned.__dataclass_fields__.keys()
    return dict(tuned) | {name: value for name, value in said.items() if name not in fields}


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
