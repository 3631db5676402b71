"""The parquet files of a data set from the hub: which part of it each holds.

They lie as ``<config>/<split>-00000-of-0000N.parquet`` (or ``<config>/<split>/0000.parquet``, the hub's own
conversion), or flat in ``data/``, where the file's name begins with the config. A config may have a language before it
(``french-queries``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.parquet_rows import columns_of
from drag_rl.errors import InputError
from drag_rl.splits import Split

SPLIT_OF: dict[str, Split] = {
    "train": "train",
    "dev": "val",
    "val": "val",
    "validation": "val",
    "test": "test",
}
"""What data sets call a split -> ours."""
ROLES = {
    "corpus": "corpus",
    "queries": "queries",
    "query": "queries",
    "qrels": "qrels",
    "documents_metadata": "documents",
}
"""Config -> what its rows are."""
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A parquet file of a data set."""

    path: Path
    where: str
    """Its path below the source, for messages."""
    role: str
    """``corpus``, ``queries``, ``qrels``, ``documents``, or ``pairs`` of a query and its page."""
    language: str
    """What stands before the config; empty if nothing does."""
    split: Split
    columns: dict[str, str]
    """Column without regard to how it is spelt (``corpus_id`` for ``corpus-id``, ``id`` for ``_id``) -> its name."""

    def column(self, *names: str) -> str | None:
        """The name of the first of these columns that it has."""
        return next((self.columns[name] for name in names if name in self.columns), None)

    def needed(self, *names: str) -> str:
        """The same; raises ``InputError`` if it has none of them."""
        found = self.column(*names)
        if found is None:
            raise InputError(f"{self.path}: has no column {names[0]!r} (it has {', '.join(self.columns)})")
        return found


def table_files(source: Path) -> list[TableFile]:
    """The files of a data set, by path; raises ``InputError`` if there are none."""
    if not source.is_dir():
        raise InputError(f"--source {source}: no such folder")
    found = []
    for path in sorted(source.rglob("*.parquet")):
        relative = path.relative_to(source)
        if not any(part.startswith(".") for part in relative.parts):
            found.append(_table_file(path, relative))
    if not found:
        raise InputError(
            f"--source {source}: holds no .parquet file; download the data set, say with "
            "`hf download --repo-type dataset NAME --local-dir FOLDER`"
        )
    return found


def of_role(files: Sequence[TableFile], role: str) -> list[TableFile]:
    """The files whose rows are of a kind."""
    return [file for file in files if file.role == role]


def _table_file(path: Path, relative: Path) -> TableFile:
    config, split = _named(relative)
    columns = {name.replace("-", "_").lstrip("_"): name for name in columns_of(path)}
    role, language = _role(config, columns)
    return TableFile(
        path=path,
        where=relative.as_posix(),
        role=role,
        language=language,
        split=SPLIT_OF.get(split, "test"),
        columns=columns,
    )


def _named(relative: Path) -> tuple[str, str]:
    """Config and split of a path; empty where it does not say."""
    name = _SHARD.sub("", relative.stem)
    folders = [part for part in relative.parent.parts if part != "data"]
    if folders and folders[-1] in SPLIT_OF and name.isdigit():
        return (folders[-2] if folders[1:] else ""), folders[-1]
    if folders and _known(folders[-1]):
        return folders[-1], name
    head, split = re.fullmatch(r"(?:(.*)[-_.])?([^-_.]*)", name).groups()  # type: ignore[union-attr]
    return (head or "", split) if split in SPLIT_OF else (name, "")


def _known(config: str) -> bool:
    return config == "default" or any(config == role or config.endswith(f"-{role}") for role in ROLES)


def _role(config: str, columns: dict[str, str]) -> tuple[str, str]:
    for name, role in ROLES.items():
        if config == name:
            return role, ""
        if config.endswith(f"-{name}"):
            return role, config.removesuffix(f"-{name}")
    if {"query_id", "corpus_id"} <= columns.keys():
        return "qrels", ""
    if {"query", "image"} <= columns.keys():
        return "pairs", ""
    return "", ""
