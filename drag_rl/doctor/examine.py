"""Everything that is looked at before a training; each check finds what would otherwise stop a run hours later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from drag_rl.doctor import environment, index, late, model, rewards, searching
from drag_rl.doctor.check import Check, checked
from drag_rl.doctor.setup import SetUp
from drag_rl.errors import InputError
from drag_rl.questions import read_questions
from drag_rl.retrieval.base import Query, Retriever
from drag_rl.types import Question


def examine_environment() -> Iterator[Check]:
    """What is installed, and whether verl loads our plugin; each check as soon as it is done."""
    yield checked("environment", environment.versions)
    yield checked("verl plugin", environment.plugin)


def examine_parts(set_up: SetUp) -> Iterator[Check]:
    """Every check that the given parts allow, in order, each as soon as it is done."""
    loaded: list[Retriever] = []
    asked: list[Question] = []
    if set_up.index:
        yield checked("index", partial(index.opened, set_up.index, loaded))
        if loaded:
            yield checked("index files", partial(index.whole, set_up.index))
        if loaded and set_up.pages:
            yield checked("index pages", partial(index.of_pages, set_up.index, set_up.pages))
    if set_up.questions:
        yield checked("questions", partial(_questions, set_up.questions, loaded, asked))
    if loaded and len(loaded[0].pages):
        yield from _examine_index(set_up, loaded[0], asked)
    if set_up.model:
        yield checked("model", partial(model.keeps_messages, set_up.model, set_up.episode))


def _examine_index(set_up: SetUp, retriever: Retriever, asked: list[Question]) -> Iterator[Check]:
    """What can be asked of an index that opens, with the questions that there are."""
    top_k, pages = set_up.episode.top_k, retriever.pages
    places = searching.spread(pages.page_ids, index.EMBEDDED_PAGES)
    texts = [pages.text(pages.page_ids[place]) or "no text" for place in places]
    assert set_up.index is not None
    retrievers = index.with_parts(set_up.index, retriever)
    for embedder in index.embedders(retrievers):
        yield checked("embedder", partial(index.embeds, embedder, texts))
    queries = searching.sample_queries(pages, asked)
    for seeing in {one.fingerprint: one for one in retrievers if isinstance(one, late.SeesPages)}.values():
        yield from _examine_seeing(seeing, queries)
    yield checked("searches", partial(searching.samples, retriever, queries, top_k))
    if len(queries) > 1:
        yield checked("union and intersection", partial(searching.union_and_intersection, retriever, queries))
    if asked:
        for one in retrievers:
            if isinstance(one, late.TwoStages):
                yield checked("candidates", partial(late.candidates, one, asked, top_k))
        yield checked("gold pages", partial(searching.gold_reachable, retriever, asked))
        yield checked("raw question", partial(searching.raw_question, asked, retriever, top_k))
        yield checked("rewards", partial(rewards.sample_rewards, asked, retriever, set_up))
        yield checked("gaming the reward", partial(rewards.gaming, asked, retriever, set_up))


def _examine_seeing(seeing: late.SeesPages, queries: Sequence[Query]) -> Iterator[Check]:
    """What only an index of page images has."""
    images: list[Image.Image] = []
    places = searching.spread(seeing.pages.page_ids, late.SAMPLE_PAGES)
    page_ids = [seeing.pages.page_ids[place] for place in places]
    yield checked("page images", partial(late.page_images, seeing, page_ids, images))
    if images:
        texts = [query.text for query in queries if query.text][: late.SAMPLE_PAGES] or ["a page"]
        yield checked("visual model", partial(late.model, seeing.embedder, images, texts))
        yield checked("prefilter", partial(late.prefilter, seeing, queries))


def _questions(path: Path, loaded: list[Retriever], asked: list[Question]) -> str:
    """Read the questions, into ``asked`` where their gold pages are in the index."""
    found = read_questions(path)
    if loaded:
        for question in found:
            absent = [page_id for page_id in question.gold_page_ids if page_id not in loaded[0].pages]
            if absent:
                raise InputError(
                    f"{path}: question {question.question_id} has the gold page {absent[0]}, which is not in the "
                    "index: build both from the same pages"
                )
    asked.extend(found)
    kinds = sorted({question.data_source for question in found})
    documents = {page_id.rpartition("#")[0] for question in found for page_id in question.gold_page_ids}
    return f"{len(found)} questions ({', '.join(kinds)}) on {len(documents)} documents"
