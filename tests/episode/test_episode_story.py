"""Stories of episodes, and what holds for all of them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from driven import Driven
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig, Observation, as_text
from drag_rl.errors import InputError
from drag_rl.files.codec import from_json, to_json
from drag_rl.types import Hit, Outcome, Search, StopReason

CALL = '<tool_call>\n{"name": "search", "arguments": {"query": "data frames"}}\n</tool_call>'


def begin(question, searcher, **options) -> Driven:
    return Driven(question, searcher, EpisodeConfig(**options))


def see(episode: Driven, text: str) -> Observation:
    """Play one message whose observation is shown as proposed."""
    reply = episode.step(text, "stop")
    assert isinstance(reply, Observation)
    episode.commit(reply)
    return reply


def test_search_read_refine_answer(question, searcher):
    episode = begin(question, searcher, max_turns=4, top_k=2)
    first = see(episode, "<think>Tables are data frames.</think><search>read table</search>")
    assert (
        first.text == "<information>\n1. R-data#8: read a table from a file into data frames\n</information>"
    )
    see(episode, "<search>merge data frames</search>")
    assert episode.messages[-1]["content"].splitlines()[1:3] == [
        "1. R-data#7: merge joins two data frames by common columns",
        "2. R-data#8 (shown before): read a table from a file into data frames",
    ]
    assert episode.step("<answer>[R-data#7] merge()</answer>", "stop") is StopReason.ANSWERED

    outcome = episode.outcome()
    assert [turn.gold_ranks for turn in outcome.turns] == [(None,), (1,), ()]
    assert outcome.answer is not None
    assert outcome.answer.citations == ("R-data#7",)
    assert [turn.observation for turn in outcome.turns] == [
        *(message["content"] for message in episode.messages[3::2]),
        "",
    ]
    assert from_json(Outcome, to_json(outcome)) == outcome


def test_the_same_with_tool_calls(question, searcher):
    episode = begin(question, searcher, action_format="tools", max_turns=2)
    see(episode, CALL)
    observation = episode.messages[-1]
    assert (observation["role"], observation["name"]) == ("tool", "search")
    assert "This is your last turn: answer now" in observation["content"]
    assert episode.messages[-2] == {"role": "assistant", "content": CALL}
    assert episode.step("merge() [R-data#7]", "stop") is StopReason.ANSWERED


def test_a_search_on_the_last_turn_counts_and_ends_the_episode(question, searcher):
    episode = begin(question, searcher, max_turns=1)
    assert episode.step("<search>merge data frames", "stop") is StopReason.MAX_TURNS
    (turn,) = episode.outcome().turns
    assert turn.gold_ranks == (1,)
    assert turn.hits
    assert turn.observation == ""


def test_a_search_without_hits_says_so(question, searcher):
    observation = see(begin(question, searcher), "<search>zebra </information <b></search>")
    assert 'No page matches "zebra ‹/information <b>". Try other words.' in observation.text  # noqa: RUF001


def test_the_same_search_twice_is_remarked_on(question, searcher):
    episode = begin(question, searcher)
    assert "made this search before" not in see(episode, "<search>list</search>").text
    assert "made this search before" in see(episode, "<search> list </search>").text


def test_new_pages_only(question, searcher):
    episode = begin(question, searcher, repeat_pages=False, top_k=1)
    first = see(episode, "<search>data frames</search>")
    second = see(episode, "<search>data frames</search>")
    assert [hit.page_id for hit in (*first.hits, *second.hits)] == ["R-data#7", "R-data#8"]
    assert "before" not in second.text
    assert see(episode, "<search>merge joins two</search>").text.startswith(
        '<information>\nNo other page matches "merge joins two"'
    )
    first, second, third = episode._turns
    assert (first.gold_ranks, second.gold_ranks, third.gold_ranks) == ((1,), (None,), (None,))


def test_the_words_of_the_question_are_searched_with_the_policys(question, searcher):
    episode = begin(question, searcher, expand_question=True, max_turns=2, answer=False)
    assert "The words of the question itself are searched" in episode.messages[0]["content"]
    shown = see(episode, "<search>zebra</search>")
    together = searcher.search(f"{question.text} zebra", 3, question.gold_page_ids, snippet_chars=300)
    alone = searcher.search("zebra", 3, question.gold_page_ids, snippet_chars=300)
    assert shown.hits == together.hits != alone.hits
    episode.step("<search>frames</search>", "stop")
    outcome = episode.outcome()
    assert [turn.action.query for turn in outcome.turns] == ["zebra", "frames"], (
        "the trace has the policy's own words"
    )
    assert outcome.turns[0].gold_ranks == together.gold_ranks
    assert outcome.config.expand_question and outcome.config.repeat_pages


def test_hostile_page_text_stays_on_its_line_and_does_not_act(question, searcher):
    text = see(begin(question, searcher), "<search>frames</search>").text
    assert text.count("<") == text.count("<information>") + text.count("</information>") == 2
    assert [line[:2] for line in text.splitlines()[1:-1]] == ["1.", "2.", "3."]
    assert "[forged#1]" in text


def test_malformed_ends_or_is_corrected_at_the_price_of_a_turn(question, searcher):
    assert begin(question, searcher).step("I do not know", "stop") is StopReason.MALFORMED

    episode = begin(question, searcher, on_malformed="correct", max_turns=2)
    correction = see(episode, "<search>a</search><answer>b</answer>")
    assert correction.smaller() is None
    assert "That is no action: expected one ‹search> or ‹answer>" in correction.text  # noqa: RUF001
    assert "last turn" in correction.text
    assert episode.step("still nothing", "stop") is StopReason.MAX_TURNS


def test_control_tokens_end_the_episode_even_when_it_would_be_corrected(question, searcher):
    episode = begin(question, searcher, on_malformed="correct")
    assert episode.step("<search><|image_pad|></search>", "stop") is StopReason.MALFORMED


def test_a_message_cut_by_the_token_limit_ends_the_episode(question, searcher):
    for mode in ("end", "correct"):
        episode = begin(question, searcher, on_malformed=mode)
        assert episode.step("<search>merge da", "length") is StopReason.LENGTH
    assert isinstance(begin(question, searcher).step("<search>merge</search> th", "length"), Observation)


def test_page_images_follow_their_page_id_and_are_shown_once(question, searcher):
    episode = begin(question, searcher, observation="image", max_turns=4)
    see(episode, "<search>read table</search>")
    content = episode.messages[-1]["content"]
    assert [part["type"] for part in content] == ["text", "image", "text"]
    assert content[0]["text"].endswith("1. R-data#8\n")
    assert content[1] == {"type": "image", "page_id": "R-data#8"}
    assert see(episode, "<search>merge read data</search>").page_ids == ("R-data#7",)
    episode.stop(StopReason.LENGTH)
    assert [turn.image_page_ids for turn in episode.outcome().turns] == [("R-data#8",), ("R-data#7",)]
    assert episode.outcome().turns[0].observation == "<information>\n1. R-data#8\n<image>\n</information>"


def test_a_policy_that_cites_nothing_need_not_see_page_ids(question, searcher):
    episode = begin(question, searcher, max_turns=3, top_k=2, answer=False, shots=3, show_page_ids=False)
    see(episode, "<search>read table</search>")
    see(episode, "<search>merge data frames</search>")
    assert not any("#" in message["content"] for message in episode.messages)
    assert episode.messages[-1]["content"].splitlines()[1:3] == [
        "1. merge joins two data frames by common columns",
        "2. (shown before): read a table from a file into data frames",
    ]
    with pytest.raises(InputError, match="show_page_ids=false leaves nothing to cite"):
        EpisodeConfig.from_mapping({"show_page_ids": False}, "--episode")
    assert not EpisodeConfig(show_page_ids=False, citations=False).show_page_ids


def test_the_trace_records_what_was_really_shown(question, searcher):
    episode = begin(question, searcher, observation="both")
    proposal = episode.step("<search>data frames</search>", "stop")
    assert isinstance(proposal, Observation)
    without_images = replace(proposal, page_ids=())
    episode.commit(without_images)
    episode.stop(StopReason.LENGTH)
    (turn,) = episode.outcome().turns
    assert turn.image_page_ids == ()
    assert turn.observation == as_text(episode.messages[-1])
    assert "<image>" not in turn.observation


def test_an_observation_that_does_not_fit_is_dropped_whole(question, searcher):
    episode = begin(question, searcher)
    assert isinstance(episode.step("<search>merge</search>", "stop"), Observation)
    assert episode.stop(StopReason.LENGTH) is StopReason.LENGTH
    assert episode.messages[-1]["role"] == "assistant"
    assert episode.outcome().turns[0].observation == ""
    assert episode.outcome().turns[0].gold_ranks == (1,)


def test_driving_it_wrongly_is_an_error(question, searcher):
    episode = begin(question, searcher)
    with pytest.raises(RuntimeError, match="not ended"):
        episode.outcome()
    proposal = episode.step("<search>merge</search>", "stop")
    assert isinstance(proposal, Observation)
    with pytest.raises(RuntimeError, match="waiting"):
        episode.step("<search>merge</search>", "stop")
    episode.commit(proposal)
    with pytest.raises(RuntimeError, match="nothing to commit"):
        episode.commit(proposal)
    episode.stop(StopReason.LENGTH)
    assert episode.stop(StopReason.ERROR) is StopReason.LENGTH
    with pytest.raises(RuntimeError, match="has ended"):
        episode.step("<answer>a</answer>", "stop")


snippets = st.text(max_size=400)
found = st.lists(
    st.builds(Hit, page_id=st.text(max_size=20), rank=st.just(1), score=st.just(1.0), snippet=snippets)
)


@given(found, st.integers(0, 400), st.booleans())
def test_every_smaller_observation_is_smaller_and_the_ladder_ends(hits, snippet_chars, pictures):
    hits = tuple({hit.page_id: hit for hit in hits}.values())
    page_ids = tuple(hit.page_id for hit in hits) if pictures else ()
    step: Observation | None = Observation(hits=hits, page_ids=page_ids, snippet_chars=snippet_chars)
    steps = 0
    while (smaller := step.smaller()) is not None:
        assert (len(smaller.page_ids), smaller.snippet_chars) < (len(step.page_ids), step.snippet_chars)
        assert len(smaller.text) <= len(step.text)
        step, steps = smaller, steps + 1
    assert steps <= len(hits) + 4


scripts = st.lists(
    st.sampled_from(
        [
            "<think>hm</think><search>data frames</search>",
            "<search>list</search>",
            "<search>zebra</search>",
            "<answer>merge [R-data#7]</answer>",
            CALL,
            "prose",
            "<search>",
            "<|im_end|>",
        ]
    ),
    min_size=6,
    max_size=6,
)
options = st.fixed_dictionaries(
    {
        "action_format": st.sampled_from(["xml", "tools"]),
        "observation": st.sampled_from(["text", "image", "both"]),
        "on_malformed": st.sampled_from(["end", "correct"]),
        "max_turns": st.integers(1, 5),
        "top_k": st.integers(1, 4),
        "shots": st.integers(0, 3),
        "answer": st.booleans(),
        "citations": st.just(False),
        "show_page_ids": st.booleans(),
    }
)


@settings(max_examples=150)
@given(scripts, options, st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_every_episode_ends_in_budget_with_messages_only_appended(searcher, question, script, options, drops):
    episode = begin(question, searcher, **options)
    for text, drop in zip(script, drops, strict=True):
        before = copy.deepcopy(episode.messages)
        reply = episode.step(text, "stop")
        while isinstance(reply, Observation) and drop:
            reply, drop = reply.smaller() or episode.stop(StopReason.LENGTH), drop - 1
        if isinstance(reply, Observation):
            episode.commit(reply)
        assert episode.messages[: len(before)] == before
        if episode.stop_reason:
            break
    outcome = episode.outcome()
    assert len(outcome.turns) <= outcome.config.max_turns
    assert [turn.text for turn in outcome.turns] == script[: len(outcome.turns)]
    for turn in outcome.turns:
        assert len(turn.hits) <= outcome.config.top_k
        assert set(turn.image_page_ids) <= {hit.page_id for hit in turn.hits}
        assert turn.observation.count("<image>") == len(turn.image_page_ids)
        assert bool(turn.gold_ranks) == isinstance(turn.action, Search)
    pictured = [page_id for turn in outcome.turns for page_id in turn.image_page_ids]
    assert len(pictured) == len(set(pictured))
