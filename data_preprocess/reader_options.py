"""Options that only some readers of data sets take: the keyword arguments of a reader are what it can be told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Literal

from data_preprocess.datasets import Reader
from drag_rl.errors import InputError

GoldFrom = Literal["answers", "facts", "none"]
"""Where gold pages of open-domain questions come from, see ``data_preprocess.flashrag``."""


def takes(reader: Reader, option: str) -> bool:
    """Whether a reader can be told ``option``."""
    return option in inspect.signature(reader).parameters


def check_options(name: str, reader: Reader, options: Mapping[str, object]) -> dict[str, object]:
    """The options that were given, those that are None left out.

    Raises ``InputError`` for one that the data set ``name`` does not have.
    """
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if not takes(reader, option):
            flag = f"--{option.replace('_', '-')}"
            raise InputError(f"{flag}: the data set {name} has no such option; leave it out")
    return given
