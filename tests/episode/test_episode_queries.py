"""Several queries in one search: how they are written, what they find together, and what the policy is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import get_args

import pytest
from driven import Driven
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig, Observation, SearchEpisode, SearchRequest, as_text
from drag_rl.episode.actions import parse_action
from drag_rl.episode.prompt import action_text, system_prompt, tool_schemas
from drag_rl.episode.request import COMBINED_DEPTH
from drag_rl.files.codec import from_json, to_json
from drag_rl.protocol import CombineMethod
from drag_rl.retrieval import Ranking
from drag_rl.types import Hit, Malformed, Outcome, Search, query_key

words = st.text(st.characters(exclude_categories=["C"], exclude_characters="<>"), min_size=1).filter(
    str.strip
)


def begin(question, searcher, **options) -> Driven:
    return Driven(question, searcher, EpisodeConfig(**{"queries_per_turn": 3, **options}))


def written(queries, action_format="xml"):
    config = EpisodeConfig(action_format=action_format, queries_per_turn=3, think=False)
    return action_text("", "search", "\n".join(queries), config)


@pytest.mark.parametrize("action_format", ["xml", "tools"])
@given(queries=st.lists(words, min_size=1, max_size=4))
def test_queries_survive_the_round_trip_and_the_same_words_twice_are_one(action_format, queries):
    lines = [" ".join(query.split()) for query in queries]
    action = parse_action(written(lines, action_format), action_format, queries_per_turn=4)
    assert isinstance(action, Search)
    first = {query_key(line): line for line in reversed(lines)}
    assert set(action.queries) == set(first.values())
    assert list(action.queries) == sorted(action.queries, key=lines.index)
    again = parse_action(written(action.queries, action_format), action_format, queries_per_turn=4)
    assert again == action


@given(st.text())
def test_with_one_query_a_turn_lines_are_one_query(body):
    one = parse_action(f"<search>{body}</search>", "xml")
    assert not isinstance(one, Search) or one.queries == (one.query,)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("a\nb\nc\nd", "the search has 4 queries, at most 3 are allowed"),
        ("short\n" + "long " * 50, "the query has 249 characters, at most 200 are allowed"),
        (" \n\n", "the query is empty"),
    ],
)
def test_too_many_too_long_and_empty_queries_are_malformed(body, reason):
    call = {"name": "search", "arguments": {"queries": body.split("\n")}}
    texts = {"xml": f"<search>{body}</search>", "tools": f"<tool_call>{json.dumps(call)}</tool_call>"}
    for action_format, text in texts.items():
        action = parse_action(text, action_format, max_query_chars=200, queries_per_turn=3)
        assert action == Malformed(reason=reason)


@pytest.mark.parametrize("arguments", ['{"query": "a"}', '{"queries": "a"}', '{"queries": [1]}', "[]"])
def test_a_call_without_a_list_of_queries_is_malformed(arguments):
    text = f'<tool_call>{{"name": "search", "arguments": {arguments}}}</tool_call>'
    action = parse_action(text, "tools", queries_per_turn=2)
    assert action == Malformed(reason="the search call needs arguments with a 'queries' list of texts")


def test_what_two_queries_find_is_shown_together_and_ranked_together(question, searcher):
    episode = begin(question, searcher, top_k=2)
    shown = episode.step("<search>\nread table\nlist vector\n</search>", "stop")
    assert isinstance(shown, Observation)
    # each is first of one query, by reciprocal ranks: equal, so in page order; the gold page is found by none
    assert [(hit.page_id, hit.rank) for hit in shown.hits] == [("R-data#8", 1), ("R-lang#2", 2)]
    assert shown.hits[0].score == shown.hits[1].score == pytest.approx(1 / 61)
    assert shown.hits[1].snippet == "a list is a vector of objects"
    episode.commit(shown)
    episode.commit(episode.step("<search>merge\nlist</search>", "stop"))
    first, second = episode.turns
    assert (first.gold_ranks, second.gold_ranks, second.corpus_ranks) == ((None,), (1,), (1,))
    assert second.hits[0].snippet == "merge joins two data frames by common columns"
    assert isinstance(first.action, Search) and first.action.query == "read table\nlist vector"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("rrf", ["R-data#8", "R-data#7", "R-lang#2"]),
        ("sum", ["R-data#8", "R-data#7", "R-lang#2"]),
        ("union", ["R-data#8", "R-data#7", "R-lang#2"]),
        ("intersection", ["R-data#8"]),
    ],
)
def test_the_configuration_says_how_they_are_put_together(question, searcher, method, expected):
    # "data two": R-data#7 (2 words), R-data#8 (1); "read a table": R-data#8 (3), R-lang#2 (1)
    episode = begin(question, searcher, combine=method)
    shown = episode.step("<search>data two\nread a table</search>", "stop")
    assert [hit.page_id for hit in shown.hits] == expected
    assert episode.turns[0].gold_ranks == ((None,) if method == "intersection" else (2,))


def test_no_page_again_leaves_pages_out_of_the_whole(question, searcher):
    episode = begin(question, searcher, repeat_pages=False, top_k=1)
    search = "<search>frames\nread a table</search>"
    found = []
    for _ in range(3):
        shown = episode.step(search, "stop")
        episode.commit(shown)
        found += [hit.page_id for hit in shown.hits]
    assert found == ["R-data#8", "R-data#7", "R-lang#2"]
    assert [turn.gold_ranks for turn in episode.turns] == [(2,), (1,), (None,)]
    assert [turn.corpus_ranks for turn in episode.turns] == [(2,)] * 3
    assert not any(episode_repeats(episode)), "the same words read on"


def episode_repeats(episode):
    episode.stop("length")
    return episode.outcome().repeated


def test_the_same_queries_in_another_order_are_a_repeated_search(question, searcher):
    episode = begin(question, searcher)
    for text in ("<search>list\nfile</search>", "<search>file\nlist</search>"):
        shown = episode.step(text, "stop")
        episode.commit(shown)
    assert "You have made this search before" in shown.text
    assert "before" not in episode.step("<search>list file</search>", "stop").lead
    assert episode_repeats(episode)[:2] == (False, True)


def test_the_question_is_searched_with_each_query(question, searcher):
    episode = SearchEpisode(question, searcher.pages, EpisodeConfig(queries_per_turn=2, expand_question=True))
    request = episode.step("<search>merge\nlist</search>", "stop")
    assert isinstance(request, SearchRequest)
    texts = [query.text for query in request.queries]
    assert texts == [f"{question.text} merge", f"{question.text} list"] and request.top_k == COMBINED_DEPTH


def test_one_query_is_searched_as_where_no_more_are_allowed(question, searcher):
    one, several = (
        SearchEpisode(question, searcher.pages, EpisodeConfig(queries_per_turn=most)) for most in (1, 3)
    )
    assert one.step("<search>merge</search>", "stop") == several.step("<search>merge</search>", "stop")


def test_how_deep_combined_ranks_are_known_is_recorded(question, searcher):
    class Bounded:
        async def search(self, queries, top_k):
            assert top_k == COMBINED_DEPTH
            hits = (Hit(page_id="R-lang#2", rank=1, score=1.0),)
            return [Ranking(hits=hits, tracked=(None,) * len(query.track), exact_to=1) for query in queries]

    episode = SearchEpisode(question, searcher.pages, EpisodeConfig(queries_per_turn=2))
    request = episode.step("<search>merge\nlist</search>", "stop")
    episode.show(asyncio.run(Bounded().search(request.queries, request.top_k)))
    assert (episode.turns[0].gold_ranks, episode.turns[0].exact_to) == ((None,), 1)


def test_hits_beyond_the_top_k_are_not_shown(question, searcher):
    """A driver that puts many episodes' searches together asks for as many hits as any of them wants."""
    episode = SearchEpisode(question, searcher.pages, EpisodeConfig(top_k=1))
    request = episode.step("<search>frames</search>", "stop")
    shown = episode.show(asyncio.run(searcher.retriever.search(request.queries, 9)))
    assert [hit.rank for hit in shown.hits] == [1]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("union", 'No page matches "zebra", "okapi". Try other words.'),
        ("intersection", 'No page matches all of "zebra", "okapi". Try other words.'),
    ],
)
def test_where_none_finds_anything_all_are_named(question, searcher, method, said):
    shown = begin(question, searcher, combine=method).step("<search>zebra\nokapi</search>", "stop")
    assert said in shown.text


@pytest.mark.parametrize("method", get_args(CombineMethod))
@pytest.mark.parametrize("prompt", [None, "brief"])
@pytest.mark.parametrize("action_format", ["xml", "tools"])
def test_the_policy_is_told_of_them_only_where_there_are_several(action_format, prompt, method):
    config = EpisodeConfig(
        action_format=action_format, system_prompt=prompt, queries_per_turn=3, combine=method
    )
    one = replace_config(config, queries_per_turn=1)
    assert "3 queries" in system_prompt(config) and "queries" not in system_prompt(one)
    assert system_prompt(one) == system_prompt(replace_config(one, combine="rrf"))
    if prompt is None:
        assert ("all of them find" in system_prompt(config)) == (method == "intersection")


def replace_config(config, **options):
    return config.model_copy(update=options)


def test_the_tool_takes_a_list():
    (tool,) = tool_schemas(EpisodeConfig(action_format="tools", queries_per_turn=3))
    parameters = tool["function"]["parameters"]
    assert parameters["required"] == ["queries"]
    assert parameters["properties"]["queries"]["type"] == "array"
    assert parameters["properties"]["queries"]["maxItems"] == 3
    (single,) = tool_schemas(EpisodeConfig(action_format="tools"))
    assert list(single["function"]["parameters"]["properties"]) == ["query"]


@pytest.mark.parametrize("action_format", ["xml", "tools"])
def test_examples_follow_the_protocol(question, searcher, action_format):
    messages = begin(question, searcher, action_format=action_format, shots=3).messages
    acted = [as_text(message) for message in messages if message["role"] == "assistant"]
    actions = [parse_action(text, action_format, queries_per_turn=3) for text in acted]
    assert sum(isinstance(action, Search) for action in actions) == 6
    assert not any(isinstance(action, Malformed) for action in actions)


def test_an_outcome_is_read_back_and_an_older_one_too(question, searcher):
    episode = begin(question, searcher, max_turns=1)
    episode.step("<search>merge\nlist</search>", "stop")
    outcome = episode.outcome()
    assert from_json(Outcome, to_json(outcome)) == outcome
    assert outcome.queries == ("merge\nlist",) and outcome.searches[0].action.queries == ("merge", "list")
    older = json.loads(to_json(outcome))
    for name in ("queries_per_turn", "combine"):
        del older["config"][name]
    read = from_json(Outcome, json.dumps(older))
    assert read == replace(outcome, config=replace_config(outcome.config, queries_per_turn=1))


def test_a_gold_page_that_is_not_there_is_refused_as_ever(question, searcher):
    episode = begin(replace(question, gold_page_ids=("nowhere#1",)), searcher)
    with pytest.raises(Exception, match="'nowhere#1' is not in the index"):
        episode.step("<search>merge\nlist</search>", "stop")
