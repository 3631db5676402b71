"""``drag format``: trajectories as training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from drag_rl.cli.options import EpisodeSettings, episode_config
from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest
from drag_rl.star.formats.build import FORMATS, FormatOptions, select_formats, write_training_data

DEFAULTS = FormatOptions()


def format(
    input: Annotated[Path, typer.Option(help="Trajectories to learn from, made by `drag filter`.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the training data.")],
    formats: Annotated[str, typer.Option(help=f"all, or some of: {', '.join(FORMATS)}.")] = "all",
    val_split: Annotated[
        float, typer.Option(help="Share of questions for validation, 0 to 1; whole documents are given.")
    ] = DEFAULTS.val_split,
    split_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an earlier `drag format`: its documents stay in training or validation."
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="dpo: the least difference of rank score, or of 1/log2(1+rank) where both miss the top k.",
        ),
    ] = DEFAULTS.margin,
    pairs_per_question: Annotated[
        int, typer.Option(min=0, help="dpo: the most pairs of a question, widest margin first; 0 for all.")
    ] = DEFAULTS.pairs_per_question,
    contrast: Annotated[
        list[Path] | None,
        typer.Option(
            help="dpo, reward: unfiltered trajectories, whose failures are queries too; repeatable."
        ),
    ] = None,
    pages: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pages; needed where observations showed page images; copies of a document stay together."
        ),
    ] = None,
    max_pixels: Annotated[
        int,
        typer.Option(min=0, help="The most pixels of a page image; 0: as the trajectories were collected."),
    ] = DEFAULTS.max_pixels,
    episode: EpisodeSettings = None,
) -> None:
    """Write trajectories as training data: JSONL and parquet, train and val split by document."""
    if not 0 <= val_split < 1:
        raise InputError(f"--val-split {val_split}: must be at least 0 and less than 1")
    options = FormatOptions(
        formats=select_formats(formats),
        val_split=val_split,
        split_from=split_from,
        margin=margin,
        pairs_per_question=pairs_per_question,
        contrast=tuple(contrast or ()),
        pages=pages,
        max_pixels=max_pixels,
    )
    choose = (lambda base: episode_config(episode, base)) if episode else None
    _report(write_training_data(input, output_dir, options, choose), output_dir)


def _report(manifest: Manifest, output_dir: Path) -> None:
    counts = manifest.counts
    table = Table("Format", "train rows", "val rows", title=str(output_dir))
    for name in manifest.config["formats"]:
        table.add_row(name, str(counts[f"{name}_train"]), str(counts[f"{name}_val"]))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    train, val = (counts.get(f"questions_{split}", 0) for split in ("train", "val"))
    console.print(
        f"{counts['trajectories']} trajectories of {train + val} questions; {val} questions of"
        f" {counts.get('documents_val', 0)} documents are for validation ({100 * val / (train + val):.1f}%)"
    )
    if "dpo" in manifest.config["formats"]:
        within, across = counts.get("dpo_pairs_within", 0), counts.get("dpo_pairs_across", 0)
        stops = f", {found} of stopping" if (found := counts.get("dpo_pairs_stop", 0)) else ""
        console.print(f"DPO pairs: {within} from steps within a trajectory, {across} across samples{stops}")
    for name, count in counts.items():
        if count and name.startswith(LEFT_OUT):
            console.print(f"  left out, {name.replace('_', ' ')}: {count}")
    warn = Console(stderr=True, soft_wrap=True, highlight=False)
    for problem in manifest.problems:
        warn.print(f"{problem.where}: {problem.reason}", markup=False)
    if not val and manifest.config["val_split"]:
        warn.print("No question is left for validation: all are about one document.", markup=False)


LEFT_OUT = (
    "sft_best_without_success",
    "sft_trajectory_nothing_to_learn",
    "dpo_same_query",
    "dpo_below_margin",
    "dpo_repeated",
    "dpo_contradicting",
    "dpo_over_limit",
    "reward_repeated_query",
)
"""Counts of what gives no row."""
