"""All checks of questions, in order: of each row, of each file, between files, and against the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from drag_rl.corpus.copies import copies
from drag_rl.doctor.check import Check, checked
from drag_rl.doctor.splits import copied, gold, leaks, repeated, rows
from drag_rl.doctor.splits.asked import QuestionFile
from drag_rl.doctor.splits.corpus import Corpus
from drag_rl.doctor.splits.evidence import Evidence
from drag_rl.errors import InputError
from drag_rl.protocol import SearchScope


def examine_questions(
    files: Sequence[QuestionFile], corpora: Sequence[Corpus], scope: SearchScope = "corpus"
) -> Iterator[Check]:
    """Every check that the given files allow, each as soon as it is done.

    ``corpora`` are where gold pages should be; ``scope`` says where episodes search.
    """
    yield checked("questions", partial(rows.readable, files))
    if not rows.all_asked(files):
        return
    yield checked("question ids", partial(rows.own_ids, files))
    yield checked("empty questions", partial(rows.with_words, files))
    yield checked("answers", partial(rows.with_answers, files))
    if scope == "document":
        yield checked("scope", partial(rows.of_a_document, files))
    yield checked("repeated questions", partial(repeated.repeated, files))
    yield checked("contradicting gold", partial(repeated.contradicting, files))
    if len(files) > 1:
        found = leaks.find_leaks(files)
        yield checked("copied questions", partial(leaks.copied, found))
        yield checked("near-duplicate questions", partial(leaks.near, found))
        yield checked("shared documents", partial(leaks.shared_documents, files))
    for number, corpus in enumerate(corpora):
        yield from _against(files, corpus, texts=number == 0)


def _against(files: Sequence[QuestionFile], corpus: Corpus, *, texts: bool) -> Iterator[Check]:
    """What one corpus says of the questions; ``texts``: what its texts say, too."""
    asked = rows.all_asked(files)
    documents = {page_id.rpartition("#")[0] for one in asked for page_id in one.question.gold_page_ids}
    evidence = Evidence(asked, texts=texts)
    try:
        groups = copies(evidence.watch(corpus.pages(documents)))
    except InputError as error:
        yield Check(name=f"gold in {corpus.kind}", status="fail", detail=f"{error}")
        return
    if any(one.question.document for one in asked):
        yield checked(
            f"documents in {corpus.kind}", partial(gold.documents_exist, asked, evidence, corpus.name)
        )
    yield checked(f"gold in {corpus.kind}", partial(gold.gold_exists, asked, evidence, corpus.name))
    if not texts:
        return
    yield checked("answers on gold pages", partial(gold.answers_stand, asked, evidence))
    yield checked("questions on gold pages", partial(gold.not_verbatim, asked, evidence))
    if len(files) > 1:
        yield checked("copied documents", partial(copied.copied_documents, asked, groups))
        yield checked("copied pages", partial(copied.copied_pages, evidence, groups))
        yield checked("near-duplicate pages", partial(copied.near_pages, evidence, groups))
