"""Split questions by document, and keep near duplicates out of training."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Literal, get_args

from drag_rl.errors import InputError
from drag_rl.near_duplicates import NearDuplicates, word_set
from drag_rl.types import Question

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
OVERSHOOT = 1.5
"""A split may grow to this many times its share where documents are large."""

ROUNDING = 1e-9
"""Tolerance of shares that should add up to 1."""


def document_of(question: Question) -> str:
    """The document that answers a question: that of its first gold page."""
    return question.gold_page_ids[0].rpartition("#")[0]


def split_documents(
    counts: Mapping[str, int],
    shares: Mapping[Split, float],
    seed: int,
    fixed: Mapping[str, Split],
    copies: Sequence[Collection[str]] = (),
) -> dict[str, Split]:
    """Give each document to a split; the same for the same documents, shares and seed.

    ``counts`` are questions by document, ``shares`` the wanted part of all questions for val and test, at most 1 in
    all, ``fixed`` documents that are given already, ``copies`` sets of documents that are one and stay together. A
    split that has a fixed document takes no other. In an order drawn from the seed, documents join a split as long as
    it stays within 1.5 times its share; if none fits, the smallest joins. What is left is for training, which always
    keeps a document, so with a single one val and test stay empty; where the shares leave nothing for training, it is
    for val, or for test alone. Raises ``InputError`` where copies of one document are fixed to different splits.
    """
    named = {doc_id: min(group) for group in copies for doc_id in group}
    sizes: Counter[str] = Counter()
    for doc_id, count in counts.items():
        sizes[named.get(doc_id, doc_id)] += count
    given = _given({doc_id: split for doc_id, split in fixed.items() if doc_id in counts}, named)
    wanted = {split: share for split, share in shares.items() if share > 0}
    rest: Split = "train"
    if sum(wanted.values()) >= 1 - ROUNDING:
        rest = "val" if "val" in wanted else "test"
    held_out: tuple[Split, ...] = ("test", "val")
    wanting = [
        split for split in held_out if split in wanted and split != rest and split not in given.values()
    ]
    for done, split in enumerate(wanting):
        free = sorted((name for name in sizes if name not in given), key=partial(draw, seed))
        given |= dict.fromkeys(_taken(free, sizes, wanted[split], later=len(wanting) - done), split)
    return {doc_id: given.get(named.get(doc_id, doc_id), rest) for doc_id in counts}


def _given(fixed: Mapping[str, Split], named: Mapping[str, str]) -> dict[str, Split]:
    """The split of each document, or set of copies, that is fixed."""
    given: dict[str, tuple[Split, str]] = {}
    for doc_id, split in fixed.items():
        other, first = given.setdefault(named.get(doc_id, doc_id), (split, doc_id))
        if other != split:
            raise InputError(
                f"documents {first!r} and {doc_id!r} are copies of each other; give both to {other} or {split}"
            )
    return {name: split for name, (split, _) in given.items()}


def _taken(free: Sequence[str], sizes: Mapping[str, int], share: float, later: int) -> list[str]:
    """Which of the free documents a split takes; each ``later`` split, training too, needs one."""
    taken: list[str] = []
    target = share * sum(sizes.values())
    size = 0
    for name in free:
        if len(taken) < len(free) - later and size < target and size + sizes[name] <= OVERSHOOT * target:
            taken.append(name)
            size += sizes[name]
    if not taken and len(free) > 1:
        taken = [min(free, key=lambda name: sizes[name])]
    return taken


def split_questions(
    questions: Sequence[Question], documents: Mapping[str, Split], seed: int
) -> tuple[dict[Split, list[Question]], Counter[str]]:
    """The questions of each split, in an order drawn from the seed, and what was dropped.

    A training question that nearly equals one of val or test is dropped, and so is one of val that nearly
    equals one of test.
    """
    splits: dict[Split, list[Question]] = {split: [] for split in SPLITS}
    for question in sorted(questions, key=lambda question: draw(seed, question.question_id)):
        splits[documents[document_of(question)]].append(question)
    dropped: Counter[str] = Counter()
    held_out = NearDuplicates(word_set(question.text) for question in questions)
    for split in ("test", "val", "train"):
        kept = [question for question in splits[split] if not held_out.has_near(word_set(question.text))]
        dropped[f"{split}_near_duplicate_of_held_out"] += len(splits[split]) - len(kept)
        splits[split] = kept
        for question in kept:
            held_out.add(word_set(question.text))
    return splits, +dropped


def draw(seed: int, name: str) -> str:
    """A sort key that is as good as random and the same everywhere."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
