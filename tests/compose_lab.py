"""Our configurations, composed with verl's own as its trainers do; each YAML file is parsed once in a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@cache
def _parsed(load: Callable[[str], DictConfig], path: str) -> DictConfig:
    import yaml

    with patch.object(yaml, "SafeLoader", yaml.CSafeLoader):  # what OmegaConf's loader is made from, in C
        return load(path)


def composed(name: str, options: Sequence[str]) -> DictConfig:
    """The configuration of that name with options as on a trainer's command line.

    Half of the time that Hydra takes is the parsing of thirty files of verl's, again each time.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    load = OmegaConf.load
    with (
        patch.object(OmegaConf, "load", lambda file: deepcopy(_parsed(load, file.name))),
        initialize_config_dir(str(CONFIGS), version_base=None),
    ):
        return compose(name, list(options))
