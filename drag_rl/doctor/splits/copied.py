"""Whether what answers in one file is copied in another: documents, or single pages, word for word or nearly so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.splits.asked import Asked
from drag_rl.doctor.splits.evidence import Evidence, PagePair


def copied_documents(asked: Sequence[Asked], groups: Sequence[set[str]]) -> str | Doubt:
    """Doubts documents that answer in one file and are copies of one that answers in another.

    ``groups`` are sets of documents that are copies of each other.
    """
    askers: dict[str, dict[str, Asked]] = {}
    for one in asked:
        for page_id in one.question.gold_page_ids:
            askers.setdefault(page_id.rpartition("#")[0], {}).setdefault(str(one.file), one)
    pairs = [pair for group in groups if (pair := _apart(sorted(group), askers))]
    if not pairs:
        return "no file's documents are copies of another's"
    (first_id, first), (other_id, other) = pairs[0]
    return Doubt(
        f"{len(pairs)} sets of documents are copies of each other and answer in several files: {first_id} "
        f"({first.place}) and {other_id} ({other.place}); give copies to one split, as drag data convert --val --test "
        "does"
    )


def copied_pages(evidence: Evidence, groups: Sequence[set[str]]) -> str | Doubt:
    """Doubts gold pages that have the words of a gold page of another file, unless their documents are copies."""
    pairs = _of_other_documents(evidence.copied_pages, groups)
    if not pairs:
        return "no gold page has the words of another file's"
    first, page_id, other, other_id = pairs[0]
    return Doubt(
        f"{len(pairs)} gold pages have the words of a gold page of another file: {page_id} ({first.place}) and "
        f"{other_id} ({other.place}); give their documents to one split"
    )


def near_pages(evidence: Evidence, groups: Sequence[set[str]]) -> str | Doubt:
    """Doubts gold pages in nearly the words of a gold page of another file, unless their documents are copies."""
    evidence.compare_pages()
    pairs = _of_other_documents(evidence.near_pages, groups)
    if not pairs:
        return "no gold page is a near duplicate of another file's"
    first, page_id, other, other_id = pairs[0]
    return Doubt(
        f"{len(pairs)} gold pages are near duplicates of a gold page of another file: {other_id} ({other.place}) and "
        f"{page_id} ({first.place}); where they are editions or filled-in forms, give their documents to one split"
    )


def _apart(
    documents: Sequence[str], askers: dict[str, dict[str, Asked]]
) -> tuple[tuple[str, Asked], tuple[str, Asked]] | None:
    """Two of the documents, each with a question that another file than that of the other asks.

    Where there are any two, one of them is the first document that answers at all.
    """
    met = [(document, one) for document in documents for one in askers.get(document, {}).values()]
    firsts = [(document, one) for document, one in met if document == met[0][0]]
    pairs = ((one, other) for one in firsts for other in met[len(firsts) :] if other[1].file != one[1].file)
    return next(pairs, None)


def _of_other_documents(pairs: Iterable[PagePair], groups: Sequence[set[str]]) -> list[PagePair]:
    """Those of the pairs of pages whose documents are not copies as a whole."""
    group_of = {document: number for number, group in enumerate(groups) for document in group}
    return [pair for pair in pairs if not _same_group(pair[1], pair[3], group_of)]


def _same_group(page_id: str, other_id: str, group_of: dict[str, int]) -> bool:
    one, other = (group_of.get(page.rpartition("#")[0]) for page in (page_id, other_id))
    return one is not None and one == other
