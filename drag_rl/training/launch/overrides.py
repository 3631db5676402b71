"""Hydra overrides whose values are taken as they are: to Hydra's grammar ``= , [ ] { }`` and quotes mean something."""

from __future__ import annotations

import glob
import re

from drag_rl.errors import InputError

_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)
_WORDS_WITH_A_MEANING = {"true", "false", "null", "nan", "inf", "yes", "no", "on", "off"}


def override(key: str, value: str | int) -> str:
    r"""Set ``key`` to exactly ``value``, whatever its characters.

    Raises InputError for a text with ``${``, which verl would resolve, or with characters that no line can show.

    >>> override("trainer.default_local_dir", "runs/lr=1e-5")
    "trainer.default_local_dir='runs/lr=1e-5'"
    >>> override("trainer.nnodes", 2), override("model.path", "org/model"), override("trainer.experiment_name", "7")
    ('trainer.nnodes=2', 'model.path=org/model', "trainer.experiment_name='7'")
    """
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS_WITH_A_MEANING):
        return f"{key}={value}"
    if "${" in value:
        raise InputError(f"{value}: '${{' in a name is an interpolation to verl; give another name")
    if not value.isprintable():
        raise InputError(f"{value!r}: has characters that cannot be printed; give another name")
    from hydra.core.override_parser.types import Quote, QuotedString

    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def rows_override(key: str, path: str) -> str:
    """Set ``key`` to the path of a file that verl reads with the datasets library, which takes names for patterns.

    Raises InputError for a path with ``::``, which that library takes for a chain of addresses.
    """
    if "::" in path:
        raise InputError(f"{path}: the datasets library cannot read a path with '::'; give another name")
    return override(key, glob.escape(path))
