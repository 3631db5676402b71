"""``processed.jsonl`` -> training data in every format, split by document."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from drag_rl.corpus.copies import copies
from drag_rl.corpus.images import PageImages
from drag_rl.corpus.pages import load_pages
from drag_rl.episode import EpisodeConfig, Message
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest, read_manifest, sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.protocol import MAX_PIXELS
from drag_rl.splits import Split, split_documents
from drag_rl.star.formats import dpo, reward, sft
from drag_rl.star.formats.catalogue import Catalogue
from drag_rl.star.formats.conversation import Conversations, QuestionGroup, document_of
from drag_rl.star.formats.writer import OPTION, SPLITS, STAGE, SUFFIXES, TrainingFiles
from drag_rl.tables import Table
from drag_rl.trajectories.stored import provenance

Rows = Callable[[QuestionGroup, Conversations, Counter[str]], Iterator[dict[str, Any]]]
"""Makes the rows of a question, and counts what gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """What to write, and how."""

    formats: tuple[str, ...] = field(default_factory=lambda: FORMATS.choices())
    """Names in :data:`FORMATS`."""
    val_split: float = 0.1
    """Wanted share of questions for validation, at least 0 and less than 1; whole documents are given."""
    split_from: Path | None = None
    """Folder of an earlier run: documents that it has stay on their side."""
    margin: float = 0.1
    """The least difference of score between the two queries of a pair."""
    pairs_per_question: int = 0
    """The most pairs of a question; 0 means no limit."""
    contrast: tuple[Path, ...] = ()
    """Unfiltered trajectories, whose queries too give pairs and rewards."""
    pages: Path | None = None
    """Folder of pages, to render page images from, and to know documents that are copies of each other."""
    max_pixels: int = 0
    """The most pixels of a page image; 0 takes what the trajectories were collected with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of training data."""

    schema: Callable[[Sequence[Message] | None], pa.Schema]
    """Its columns, given the tool schemas."""
    alone: bool = True
    """Whether it takes queries out of their episode, which needs their ranks over the whole corpus."""
    rows: Callable[[FormatOptions], Rows]
    """Make the row maker of one run."""


FORMATS: Table[Format] = Table(
    "format",
    {
        "sft_query": Format(schema=sft.schema, rows=lambda _: sft.query_rows),
        "sft_best": Format(schema=sft.schema, rows=lambda _: sft.best_rows),
        "sft_trajectory": Format(schema=sft.schema, alone=False, rows=lambda _: sft.trajectory_rows),
        "sft_context": Format(schema=sft.schema, alone=False, rows=lambda _: sft.context_rows),
        "dpo": Format(
            schema=dpo.schema,
            rows=lambda options: dpo.Pairs(options.margin, options.pairs_per_question).rows,
        ),
        "reward": Format(schema=reward.schema, rows=lambda _: reward.rows),
    },
    group="drag_rl.formats",
)
"""A new format is a new file here and a new line in this table, or an entry point of an installed package; nothing else
changes."""
FILES = tuple(f"{name}_{split}{suffix}" for name in FORMATS for split in SPLITS for suffix in SUFFIXES)
"""All that any run may write."""


def select_formats(text: str) -> tuple[str, ...]:
    """The names in ``--formats``, comma-separated or ``all``, in the order of the table; raises InputError.

    >>> select_formats("dpo,sft_best")
    ('sft_best', 'dpo')
    """
    chosen = set(FORMATS) if text.strip() == "all" else set(text.replace(" ", "").split(","))
    if unknown := chosen - FORMATS.keys():
        raise InputError(
            f"--formats: unknown format {sorted(unknown)[0]!r}; the formats are all, {', '.join(FORMATS)}"
        )
    return tuple(name for name in FORMATS if name in chosen)


def write_training_data(
    source: Path,
    output_dir: Path,
    options: FormatOptions,
    episode: Callable[[EpisodeConfig | None], EpisodeConfig] | None = None,
) -> Manifest:
    """Write ``<format>_{train,val}.{jsonl,parquet}`` and a manifest to ``output_dir``.

    The same input gives the same bytes. ``episode`` is given the settings that the source's manifest names, or None,
    and returns those to use; by default the manifest decides. Raises InputError for an input that is missing, empty, no
    file of trajectories or made with other settings, when page images are needed but ``pages`` is not given, and when
    the folder holds formats of an earlier run that this one would leave as they are.
    """
    started = time.perf_counter()
    refuse_overlap(
        {OPTION: output_dir}, {"--input": source, "--contrast": options.contrast, "--pages": options.pages}
    )
    claim_files(output_dir, [STAGE], FILES, OPTION)
    _refuse_leftovers(output_dir, options.formats)
    fingerprints, settings, problems = provenance([source, *options.contrast])
    config = _episode(source, settings, episode)
    catalogue = Catalogue(config, alone=[name for name in options.formats if FORMATS[name].alone])
    catalogue.read(source, 0)
    if not catalogue.kept:
        raise InputError(
            f"{source}: holds no trajectory; `drag filter` dropped all, or nothing was collected"
        )
    for number, path in enumerate(options.contrast, start=1):
        catalogue.read(path, number)
    max_pixels = options.max_pixels or settings.get("max_pixels") or MAX_PIXELS
    pages = None
    if options.pages is not None and config.observation != "text":
        pages = PageImages(options.pages, output_dir.absolute() / "images", max_pixels=max_pixels)
    documents = _split(catalogue, options)
    counts: Counter[str] = Counter()
    talk = Conversations(config, pages)
    makers = {name: FORMATS[name].rows(options) for name in options.formats}
    schemas = {name: FORMATS[name].schema(talk.tools) for name in options.formats}
    with TrainingFiles(output_dir, schemas, FILES) as files:
        for group in catalogue.groups([source, *options.contrast]):
            split = documents[group.document]
            counts["trajectories"] += len(group.kept)
            counts["trajectories_contrast"] += len(group.others)
            counts[f"questions_{split}"] += 1
            for name, rows in makers.items():
                for row in rows(group, talk, counts):
                    files.write(name, split, row)
        files.close()
        if pages is not None and pages.replaced:
            counts["blank_pages"] = len(pages.replaced)
        counts |= Counter({f"documents_{split}": n for split, n in Counter(documents.values()).items()})
        digests = {
            path.name: sha256_file(path)
            for name in sorted(files.counts)
            for path in (files.work / f"{name}{suffix}" for suffix in SUFFIXES)
        }
        return write_manifest(
            files.work,
            stage=STAGE,
            fingerprint=hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
            inputs=fingerprints,
            config={
                "formats": list(options.formats),
                "val_split": options.val_split,
                "margin": options.margin,
                "pairs_per_question": options.pairs_per_question,
                "max_pixels": max_pixels if pages else 0,
                "episode": config.model_dump(mode="json"),
                "documents": dict(sorted(documents.items())),
                "files": digests,
            },
            counts=dict(files.counts) | dict(sorted(counts.items())),
            problems=problems,
            seconds=time.perf_counter() - started,
            packages=("pyarrow",),
        )


def _refuse_leftovers(output_dir: Path, formats: Sequence[str]) -> None:
    """Old rows beside new ones would pass for one run's; removing them is the user's decision."""
    names = (
        f"{name}_{split}{suffix}"
        for name in FORMATS
        if name not in formats
        for split in SPLITS
        for suffix in SUFFIXES
    )
    if older := next((name for name in names if (output_dir / name).exists()), None):
        raise InputError(
            f"--output-dir {output_dir}: holds {older} of an earlier run with other formats; give another folder, "
            "name that format in --formats too, or remove the file"
        )


def _episode(
    source: Path, settings: Mapping[str, Any], choose: Callable[[EpisodeConfig | None], EpisodeConfig] | None
) -> EpisodeConfig:
    known = settings.get("episode")
    base = EpisodeConfig.from_mapping(known, f"{source}: the manifest's episode") if known else None
    if choose is not None:
        return choose(base)
    if base is None:
        raise InputError(
            f"{source}: no manifest says with which episode settings it was collected; give them by --episode"
        )
    return base


def _split(catalogue: Catalogue, options: FormatOptions) -> dict[str, Split]:
    """The side of each document; a share counts the questions that have examples to follow."""
    counts = {document_of(question): 0 for question in catalogue.questions.values()}
    for question_id in catalogue.kept:
        counts[document_of(catalogue.questions[question_id])] += 1
    fixed: dict[str, Split] = {}
    if options.split_from is not None:
        manifest = read_manifest(options.split_from)
        fixed = manifest.config.get("documents", {})
        if manifest.stage != STAGE:
            raise InputError(f"--split-from {options.split_from}: is no folder of drag format")
    same = copies(load_pages(options.pages)) if options.pages is not None else []
    return split_documents(counts, {"val": options.val_split}, seed=0, fixed=fixed, copies=same)
