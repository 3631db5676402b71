"""Everything that is looked at before a training; each check finds what would otherwise stop a run hours later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from drag_rl.doctor import environment, index, late, model, rewards, searching
from drag_rl.doctor.check import Check, checked
from drag_rl.doctor.setup import SetUp
from drag_rl.doctor.splits.asked import QuestionFile, read_files
from drag_rl.doctor.splits.corpus import Corpus, IndexedPages, PagesFolder
from drag_rl.doctor.splits.examine import examine_questions
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
        yield from _examine_questions(set_up, loaded, asked)
    if loaded and len(loaded[0].pages):
        yield from _examine_index(set_up, loaded[0], asked)
    if set_up.model:
        yield checked("model", partial(model.keeps_messages, set_up.model, set_up.episode))


def _examine_index(set_up: SetUp, retriever: Retriever, asked: list[Question]) -> Iterator[Check]:
    """What can be asked of an index that opens, with the questions that there are."""
    top_k, scope, pages = set_up.episode.top_k, set_up.episode.scope, retriever.pages
    places = searching.spread(pages.page_ids, index.EMBEDDED_PAGES)
    texts = [pages.text(pages.page_ids[place]) or "no text" for place in places]
    assert set_up.index is not None
    retrievers = index.with_parts(set_up.index, retriever)
    for embedder in index.embedders(retrievers):
        yield checked("embedder", partial(index.embeds, embedder, texts))
    queries = searching.sample_queries(pages, asked, scope)
    for seeing in {one.fingerprint: one for one in retrievers if isinstance(one, late.SeesPages)}.values():
        yield from _examine_seeing(seeing, queries)
    yield checked("searches", partial(searching.samples, retriever, queries, top_k))
    if len(queries) > 1:
        yield checked("union and intersection", partial(searching.union_and_intersection, retriever, queries))
    if asked:
        for one in retrievers:
            if isinstance(one, late.TwoStages):
                yield checked("candidates", partial(late.candidates, one, asked, top_k, scope))
        yield checked("gold pages", partial(searching.gold_reachable, retriever, asked))
        yield checked("raw question", partial(searching.raw_question, asked, retriever, top_k, scope))
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


def _examine_questions(set_up: SetUp, loaded: Sequence[Retriever], asked: list[Question]) -> Iterator[Check]:
    """What is looked at in the files. The first one's questions go into ``asked`` if their gold is in the index."""
    files: list[QuestionFile] = []
    corpora: list[Corpus] = [PagesFolder(set_up.pages)] if set_up.pages else []
    if loaded and set_up.index:
        corpora.append(IndexedPages(set_up.index, loaded[0].pages))
    opened = checked("questions", partial(_read, set_up.questions, files))
    if not files:
        yield opened
        return
    yield from examine_questions(files, corpora, set_up.episode.scope)
    if loaded and not files[0].faults:
        found = [one.question for one in files[0].asked]
        if all(page_id in loaded[0].pages for question in found for page_id in question.gold_page_ids):
            asked.extend(found)


def _read(paths: Sequence[Path], files: list[QuestionFile]) -> str:
    files.extend(read_files(paths))
    return "read"
