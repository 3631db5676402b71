"""What the tests of ``drag format`` share: building training data from scripted trajectories, and reading it."""

from __future__ import annotations

import json

import trajectory_lab as lab

from drag_rl.episode import EpisodeConfig
from drag_rl.star.formats.build import FORMATS, FormatOptions, write_training_data

INDEX = lab.shared_index()
PUMPS, SEAL = lab.QUESTIONS[:2]


def files(folder):
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".jsonl", ".parquet"}
    }


def build(folder, trajectories, config=lab.PLAIN, **options):
    """Format a file of trajectories; returns the JSONL rows by ``<format>_<split>``, and the manifest."""
    source = lab.write(folder / "processed.jsonl", trajectories, config)
    manifest = write_training_data(source, folder / "data", FormatOptions(**options))
    return rows_in(folder / "data"), manifest


def rows_in(folder):
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def all_rows(rows, name):
    return rows[f"{name}_train"] + rows[f"{name}_val"]


def documents(rows, split):
    return {row["document"] for name in FORMATS for row in rows[f"{name}_{split}"]}


def contents(row, key="messages"):
    return [message["content"] for message in row[key] if message["role"] == "assistant"]


def story():
    """One sample refines twice, and wastes a turn; another finds the page at once."""
    first = lab.played(
        INDEX,
        PUMPS,
        [
            lab.search("zebra", thought="Parts."),
            lab.search("blade blade impeller", thought="Better."),
            lab.search("impeller", thought="Best."),
            lab.answer("It needs care [pumps#1]."),
        ],
        EpisodeConfig(),
    )
    second = lab.played(
        INDEX,
        PUMPS,
        [lab.search("impeller care", thought="Easy."), lab.answer("See [pumps#1].")],
        EpisodeConfig(),
        sample=1,
    )
    return [first, second]
