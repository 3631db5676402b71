"""Installed packages for a test: a part of a table by its entry point, as pip writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drag_rl.tables import Table


@contextmanager
def installed(folder: Path, table: Table[Any], name: str, address: str) -> Iterator[None]:
    """The part ``name`` of a table is that of a package until the end; ``address`` is ``module:attribute``."""
    about = folder / "part-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: part\nVersion: 0\n")
    (about / "entry_points.txt").write_text(f"[{table.group}]\n{name} = {address}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        _forget(table, name)
        yield
    _forget(table, name)


def _forget(table: Table[Any], name: str) -> None:
    vars(table).pop("_installed", None)
    table._loaded.pop(name, None)
