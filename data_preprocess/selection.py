"""A selection of a data set's questions: by language, by number, and divided anew by document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from data_preprocess.pdf_files import document_name
from drag_rl.errors import InputError
from drag_rl.question_ids import QuestionIds
from drag_rl.splits import ROUNDING, Split, document_of, draw, split_documents, split_questions
from drag_rl.types import Question

Splits = Mapping[Split, Sequence[Question]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which questions of a data set are wanted."""

    languages: tuple[str, ...] = ()
    """Those asked in one of these languages, as the data set calls them; empty: all."""
    documents: frozenset[str] = frozenset()
    """Only these documents: their pages, and the questions whose gold pages are all theirs; empty: all."""
    named: QuestionIds = field(default_factory=QuestionIds)
    """Only the questions that files name by their ids, or those that they do not."""
    max_samples: int = 0
    """At most so many, drawn by the seed; 0: all."""
    val: float | None = None
    """Share of the questions for validation, 0 to 1, whole documents; None, as ``test``: the data set's own splits."""
    test: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InputError for shares that are none."""
        shares = (self.val or 0.0, self.test or 0.0)
        if min(shares) < 0 or sum(shares) > 1 + ROUNDING:
            raise InputError(
                f"--val {self.val} and --test {self.test} must be at least 0, and at most 1 together"
            )

    @property
    def divides(self) -> bool:
        """Whether the splits are made anew."""
        return self.val is not None or self.test is not None

    def settings(self) -> dict[str, object]:
        """What a manifest says of it."""
        files = {name: list(map(str, paths)) for name, paths in asdict(self.named).items()}
        own = {"languages": list(self.languages), "documents": sorted(self.documents), "named": files}
        return asdict(self) | own

    def wants(self, doc_id: str) -> bool:
        """Whether a document is wanted."""
        return not self.documents or doc_id in self.documents

    def check(self, there: Container[str]) -> None:
        """Raises ``InputError`` for a wanted document that is not there."""
        if missing := sorted(doc_id for doc_id in self.documents if doc_id not in there):
            more = f", nor are {len(missing) - 1} others of it" if missing[1:] else ""
            raise InputError(f"--documents: {missing[0]!r} is no document of the data set{more}")

    def choose(
        self, splits: Splits, languages: Mapping[str, str]
    ) -> tuple[dict[Split, list[Question]], Counter[str]]:
        """The wanted questions in their splits and order, and the counts of the others.

        ``languages`` maps question ids. Raises ``InputError`` for a language that no question has.
        """
        chosen = {split: list(questions) for split, questions in splits.items()}
        dropped: Counter[str] = Counter()
        if self.languages:
            wanted = self._wanted(languages)
            for split, questions in chosen.items():
                chosen[split] = [
                    one for one in questions if languages.get(one.question_id, "").casefold() in wanted
                ]
                dropped["questions_in_other_languages"] += len(questions) - len(chosen[split])
        for split, questions in chosen.items():
            chosen[split] = [one for one in questions if all(map(self.wants, _documents(one)))]
            dropped["questions_of_other_documents"] += len(questions) - len(chosen[split])
        everyone = [question for questions in chosen.values() for question in questions]
        left = {question.question_id for question in self.named.choose(everyone)}
        for split, questions in chosen.items():
            chosen[split] = [one for one in questions if one.question_id in left]
        dropped["questions_not_named"] = len(everyone) - len(left)
        ids = sorted(left)
        if 0 < self.max_samples < len(ids):
            drawn = set(sorted(ids, key=lambda one: draw(self.seed, one))[: self.max_samples])
            for split, questions in chosen.items():
                chosen[split] = [one for one in questions if one.question_id in drawn]
            dropped["questions_beyond_max_samples"] = len(ids) - len(drawn)
        return chosen, +dropped

    def divide(
        self, splits: Splits, copies: Sequence[Collection[str]]
    ) -> tuple[dict[Split, list[Question]], Counter[str]]:
        """The same questions divided anew by document, and what was dropped; ``copies`` of a document stay together."""
        questions = [question for own in splits.values() for question in own]
        counts = Counter(document_of(question) for question in questions)
        shares: dict[Split, float] = {"val": self.val or 0.0, "test": self.test or 0.0}
        documents = split_documents(dict(sorted(counts.items())), shares, self.seed, {}, copies)
        return split_questions(questions, documents, self.seed)

    def _wanted(self, languages: Mapping[str, str]) -> set[str]:
        known = {language.casefold(): language for language in languages.values()}
        for language in self.languages:
            if language.casefold() not in known:
                there = ", ".join(sorted(known.values())) or "it tells none"
                raise InputError(
                    f"--language {language}: no question is in it; the data set's languages: {there}"
                )
        return {language.casefold() for language in self.languages}


def read_documents(path: Path) -> frozenset[str]:
    """The documents of a list, one a line, with or without ``.pdf``; raises ``InputError`` if it is none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--documents {path}: cannot be read ({error})") from None
    documents = frozenset(document_name(line.strip()) for line in lines if line.strip())
    if not documents:
        raise InputError(f"--documents {path}: names no document; write one a line")
    return documents


def _documents(question: Question) -> set[str]:
    return {page_id.rpartition("#")[0] for page_id in question.gold_page_ids}
