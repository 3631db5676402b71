"""QUESTIONS_DIR: ``questions.{train,val,test}.parquet`` and a manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files, new_files
from drag_rl.files.manifest import MANIFEST, Manifest, Problem, sha256_file, write_manifest
from drag_rl.questions import write_questions
from drag_rl.splits import SPLITS, Split
from drag_rl.types import Question

STAGES = ("questions", "user_questions", "converted_questions", "judged_questions")
"""Stages that write question sets; each may replace another's."""
FILES = tuple(f"questions.{split}.parquet" for split in SPLITS)
"""Every file that they may write."""
SHOWN_PROBLEMS = 50


def questions_path(out_dir: Path, split: Split) -> Path:
    """The file of a split."""
    return out_dir / f"questions.{split}.parquet"


def write_question_set(
    out_dir: Path,
    splits: Mapping[Split, Sequence[Question]],
    *,
    stage: str,
    inputs: Mapping[str, str],
    config: Mapping[str, Any],
    dropped: Mapping[str, int],
    problems: Sequence[Problem] = (),
    seconds: float,
) -> Manifest:
    """Write the splits, then the manifest with the counts by split and kind, and by reason of what was
    dropped.

    A split without questions has no file, for verl cannot read an empty one. Raises ``InputError`` if all
    are empty, or the folder belongs to another stage or holds a file of such a name that no stage made.
    """
    claim_files(out_dir, STAGES, FILES)
    if not any(splits.values()):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(dropped.items()))
        raise InputError(f"no question is left for {out_dir} ({reasons or 'none was found'})")
    digest = hashlib.sha256()
    counts: Counter[str] = Counter()
    with new_files(out_dir, STAGES, FILES) as folder:
        for split in SPLITS:
            questions, path = splits.get(split, ()), questions_path(folder, split)
            counts[f"questions_{split}"] = len(questions)
            counts.update(f"questions_{split}_{question.data_source}" for question in questions)
            if questions:
                write_questions(path, questions, split)
                digest.update(f"{split} {sha256_file(path)}\n".encode())
        return write_manifest(
            folder,
            stage=stage,
            fingerprint=digest.hexdigest(),
            inputs=inputs,
            config=config,
            problems=problems,
            counts=dict(counts) | {f"dropped_{reason}": count for reason, count in sorted(dropped.items())},
            seconds=seconds,
            packages=("pymupdf", "pyarrow"),
        )


def report(console: Console, out: Path, manifest: Manifest) -> None:
    """Say what is in a question set and what was dropped."""
    console.print(f"Questions in {out} ({manifest.seconds:.1f} s):")
    for name, count in manifest.counts.items():
        if count or name in {f"questions_{split}" for split in SPLITS}:
            console.print(f"  {name.replace('_', ' ')}: {count}")
    for split in SPLITS:
        if not manifest.counts[f"questions_{split}"]:
            console.print(
                f"  No file for {split}: none was asked for, or there were too few whole documents."
            )
    warn = Console(stderr=True, soft_wrap=True, highlight=False)
    for problem in manifest.problems[:SHOWN_PROBLEMS]:
        warn.print(f"{problem.where}: {problem.reason}", markup=False)
    more = len(manifest.problems) - SHOWN_PROBLEMS
    if more > 0:
        warn.print(f"{more} more problems are listed in {out / MANIFEST}", markup=False)
