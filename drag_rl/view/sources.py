"""Which files a report reads: the user's inputs are files or run folders, a source is one file of JSON lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.view.results import Answers, Scores, trajectories_of

DUMPS = {"rollouts": "training", "validation": "validation"}
"""Folder of a run -> what its trajectories are called."""
DUMP_NAME = re.compile(r"(\d+)\.trajectories\.jsonl")
WANTED = "a trajectories.jsonl, a results JSON of `drag evaluate` or a run folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of trajectories."""

    path: Path
    label: str
    """What the reader calls it."""
    scores: Scores = field(default_factory=dict)
    """By question, where an evaluation knows them."""
    answers: Answers = field(default_factory=dict)
    """Of a generator, where an evaluation asked one."""


def is_run(folder: Path) -> bool:
    """Whether a folder is a training run's."""
    return any((folder / name).is_dir() for name in DUMPS)


def find_sources(inputs: Sequence[Path]) -> list[Source]:
    """The files behind the inputs, in order; raises ``InputError`` for one that is none of ours."""
    sources: list[Source] = []
    names = [path.resolve().name for path in inputs]
    for path, name in zip(inputs, names, strict=True):
        prefix = "" if len(inputs) == 1 else f"{name if names.count(name) == 1 else path} "
        if path.is_dir():
            sources += _of_folder(path, prefix)
        elif not path.exists():
            raise InputError(f"{path}: no such file or folder; give {WANTED}")
        elif path.suffix == ".json":
            trajectories, scores, answers = trajectories_of(path)
            sources.append(Source(path=trajectories, label=path.name, scores=scores, answers=answers))
        else:
            sources.append(Source(path=path, label=_label(path)))
    return _told_apart(sources)


def dumps(folder: Path) -> list[Path]:
    """The replay buffer's files in a folder, by step; raises ``InputError`` for a name without a step."""
    found = {}
    for path in folder.glob("*.trajectories.jsonl"):
        name = DUMP_NAME.fullmatch(path.name)
        if name is None:
            raise InputError(f"{path}: its name should be <step>.trajectories.jsonl; give the file itself")
        found[path] = int(name[1])
    return sorted(found, key=found.__getitem__)


def _of_folder(folder: Path, prefix: str) -> Iterator[Source]:
    found = {folder / name: label for name, label in DUMPS.items()} if is_run(folder) else {folder: ""}
    name = folder.resolve().name
    none = True
    for place, label in found.items():
        for path in dumps(place):
            none = False
            yield Source(path=path, label=f"{prefix}{label or DUMPS.get(name, name)}")
    if none:
        raise InputError(
            f"{folder}: holds no rollouts/<step>.trajectories.jsonl; is it a run folder, and has a step ended?"
        )


def _label(path: Path) -> str:
    """``rollouts/3.trajectories.jsonl`` is training; any other file goes by its name."""
    if DUMP_NAME.fullmatch(path.name) and path.resolve().parent.name in DUMPS:
        return DUMPS[path.resolve().parent.name]
    return path.name


def _told_apart(sources: Sequence[Source]) -> list[Source]:
    """Files that share a label are one batch only if they are dumps; others get their folder's name too."""
    told: list[Source] = []
    seen: dict[str, Path] = {}
    for source in sources:
        label, first = source.label, seen.setdefault(source.label, source.path)
        if first != source.path and DUMP_NAME.fullmatch(source.path.name) is None:
            label = f"{source.path.resolve().parent.name}/{label}"
        number = 2
        while label != source.label and seen.setdefault(label, source.path) != source.path:
            label, number = f"{source.label} ({number})", number + 1
        told.append(replace(source, label=label))
    return told
