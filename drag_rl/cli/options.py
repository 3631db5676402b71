"""Options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError

EpisodeSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--episode",
        metavar="KEY=VALUE|FILE.yaml",
        help="A setting of the episode, such as max_turns=3, or a YAML file of them; repeat it, or quote several: "
        "--episode 'shots=3 think=false'. Later ones win. Use the same values to collect, train and evaluate.",
    ),
]
"""The type of an ``--episode`` option; give its value to :func:`episode_config`."""


def episode_config(settings: Sequence[str] | None, base: EpisodeConfig | None = None) -> EpisodeConfig:
    """The episode that ``--episode`` options describe; each is ``key=value`` or a YAML file, or several of them.

    What they leave out is as in ``base``, or the default. Raises InputError naming the option, the file or the key
    that is wrong.

    >>> config = episode_config(["max_turns=3 think=false", "max_turns=2"])
    >>> config.max_turns, config.think, config.top_k
    (2, False, 3)
    """
    options: dict[str, Any] = base.model_dump() if base else {}
    return EpisodeConfig.from_mapping(
        options | settings_of(settings, "--episode", "max_turns: 3"), "--episode"
    )


def settings_of(settings: Sequence[str] | None, option: str, example: str) -> dict[str, Any]:
    """What an option says that takes ``key=value``, or a YAML or JSON file of them, and may be repeated.

    Raises InputError naming the option, the file or the word that is wrong; ``example`` is a line of such a file.

    >>> settings_of(["threshold=0.4 repeats=2", "repeats=3"], "--policy-options", "threshold: 0.4")
    {'threshold': 0.4, 'repeats': 3}
    """
    options: dict[str, Any] = {}
    for setting in settings or ():
        try:
            words = shlex.split(setting)
        except ValueError as error:
            raise InputError(f"{option} {setting}: {error}") from None
        for word in words:
            key, equals, value = word.partition("=")
            options |= (
                {key: _yaml(value, f"{option} {word}")} if equals else _file(Path(word), option, example)
            )
    return options


def _file(path: Path, option: str, example: str) -> dict[str, Any]:
    if path.suffix not in {".yaml", ".yml", ".json"}:
        raise InputError(f"{option} {path}: is neither key=value nor a .yaml or .json file")
    try:
        found = _yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{option} {path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no mapping of {option.strip('-')} settings, such as '{example}'")
    return found


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: is no valid YAML: {error}") from None
