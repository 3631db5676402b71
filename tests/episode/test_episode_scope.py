"""Episodes that stay in the document that their question is asked of."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import get_args

import pytest
from driven import Driven
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_corpus import Searching

from drag_rl.episode import EpisodeConfig, SearchEpisode
from drag_rl.episode.prompt import opening_messages, system_prompt
from drag_rl.errors import InputError
from drag_rl.files.codec import from_json, to_json
from drag_rl.protocol import CombineMethod
from drag_rl.retrieval import Query
from drag_rl.retrieval.documents import index_documents
from drag_rl.types import Outcome, Question, StopReason

WORDS = ("pump", "seal", "rotor", "wax", "lid", "valve", "report")
PAGES = {
    "pumps#1": "pump seal report report report",
    "pumps#2": "rotor wax pump",
    "pumps#3": "lid valve rotor rotor seal",
    "valves#1": "valve valve seal report",
    "valves#2": "pump rotor lid report",
    "valves#3": "wax wax wax",
    "valves#4": "seal seal pump report report",
    "lids#1": "lid lid pump",
}
QUESTION = Question(
    question_id="q",
    text="According to the report?",
    gold_page_ids=("valves#2", "valves#4"),
    document="valves",
)
IN_DOCUMENT = EpisodeConfig(scope="document", top_k=2)


@pytest.fixture(scope="module")
def index() -> Searching:
    return Searching(index_documents([*PAGES], [*PAGES.values()]), None)


def played(index: Searching, config: EpisodeConfig, searches, question: Question = QUESTION) -> Outcome:
    episode = Driven(question, index, config.model_copy(update={"max_turns": len(searches), "answer": False}))
    for search in searches:
        shown = episode.step(f"<search>{search}</search>", "stop")
        if not isinstance(shown, StopReason):
            episode.commit(shown)
    return episode.outcome()


def within(page_ids, document="valves"):
    return [page_id for page_id in page_ids if page_id.startswith(f"{document}#")]


queries = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, top_k=st.integers(1, 5))
def test_ranks_and_hits_are_those_of_the_document_s_pages_in_the_ranking_of_all(index, query, top_k):
    (everywhere,) = asyncio.run(index.retriever.search([Query(text=query)], len(PAGES)))
    ranked = within(hit.page_id for hit in everywhere.hits)
    (turn,) = played(index, IN_DOCUMENT.model_copy(update={"top_k": top_k}), [query]).turns
    assert [hit.page_id for hit in turn.hits] == ranked[:top_k]
    assert [hit.rank for hit in turn.hits] == [*range(1, 1 + len(turn.hits))]
    ranks = tuple(ranked.index(page) + 1 if page in ranked else None for page in QUESTION.gold_page_ids)
    assert turn.gold_ranks == turn.corpus_ranks == ranks


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    searches=st.lists(st.lists(queries, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=4),
    combine=st.sampled_from(get_args(CombineMethod)),
    repeat_pages=st.booleans(),
    expand_question=st.booleans(),
)
def test_whatever_is_searched_every_hit_lies_in_the_document(
    index, searches, combine, repeat_pages, expand_question
):
    options = {"repeat_pages": repeat_pages, "expand_question": expand_question}
    config = IN_DOCUMENT.model_copy(update={"queries_per_turn": 3, "combine": combine, **options})
    outcome = played(index, config, searches)
    hits = [hit.page_id for turn in outcome.turns for hit in turn.hits]
    assert within(hits) == hits
    assert repeat_pages or len(set(hits)) == len(hits)
    assert all(1 <= rank <= 4 for turn in outcome.turns for rank in turn.gold_ranks if rank)


def test_the_worst_rank_is_the_number_of_pages_that_are_searched(index):
    outcome = played(index, IN_DOCUMENT, ["nothing"])
    assert (outcome.scope, outcome.corpus_pages) == ("valves", 4)
    whole = played(index, EpisodeConfig(top_k=2), ["nothing"])
    assert (whole.scope, whole.corpus_pages) == (None, len(PAGES))


def test_a_question_of_no_document_searches_all_pages_as_if_there_were_no_scope(index):
    anywhere = replace(QUESTION, document="")
    searches = ["pump rotor", "seal"]
    scoped, off = (
        played(index, config, searches, anywhere) for config in (IN_DOCUMENT, EpisodeConfig(top_k=2))
    )
    assert scoped.scope is None and len(within(hit.page_id for hit in scoped.turns[0].hits)) < 2
    assert replace(scoped, config=off.config) == off
    assert opening_messages(anywhere, IN_DOCUMENT) == opening_messages(anywhere, EpisodeConfig(top_k=2))


def test_off_by_default_a_document_changes_nothing(index):
    anywhere = played(index, EpisodeConfig(), ["pump rotor"], replace(QUESTION, document=""))
    assert replace(played(index, EpisodeConfig(), ["pump rotor"]), question=anywhere.question) == anywhere


def test_a_document_without_a_page_in_the_index_is_named_with_its_question(index):
    question = Question(question_id="q7", text="Which?", gold_page_ids=(), document="report")
    with pytest.raises(
        InputError, match=r"^question q7: document 'report' has no page in the index; .*scope"
    ):
        SearchEpisode(question, index.pages, IN_DOCUMENT)
    SearchEpisode(question, index.pages, EpisodeConfig())


@pytest.mark.parametrize("prompt", [None, "brief"])
@pytest.mark.parametrize("action_format", ["xml", "tools"])
@pytest.mark.parametrize(
    "options", [{"max_turns": 1}, {"answer": False}, {"answer": False, "enough": True}, {}]
)
def test_the_policy_is_told_that_it_searches_one_document(prompt, action_format, options):
    config = EpisodeConfig(action_format=action_format, system_prompt=prompt, scope="document", **options)
    told = opening_messages(QUESTION, config)[0]["content"]
    before = system_prompt(config)
    assert told.startswith(before) and "ne document" in told.removeprefix(before)
    assert before == system_prompt(config.model_copy(update={"scope": "corpus"}))
    assert opening_messages(QUESTION, config.model_copy(update={"scope": "corpus"}))[0]["content"] == before


def test_an_outcome_is_read_back_and_an_older_one_searched_everywhere(index):
    outcome = played(index, IN_DOCUMENT, ["pump"])
    assert from_json(Outcome, to_json(outcome)) == outcome
    older = json.loads(to_json(outcome))
    del older["config"]["scope"], older["question"]["document"]
    read = from_json(Outcome, json.dumps(older))
    assert (read.scope, read.question.document) == (None, "")
