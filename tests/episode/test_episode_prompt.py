"""The opening of an episode, in every configuration."""

from __future__ import annotations

import itertools

import pytest
from driven import Driven

from drag_rl.episode import EpisodeConfig, as_text
from drag_rl.episode.actions import parse_action
from drag_rl.episode.prompt import action_text
from drag_rl.errors import InputError
from drag_rl.types import Answer, Question, Search, StopReason

CONFIGS = [
    EpisodeConfig(action_format=action_format, shots=shots, max_turns=max_turns, think=think, answer=answer)
    for action_format, shots, max_turns, think, answer in itertools.product(
        ("xml", "tools"), (0, 1, 3), (1, 2, 3, 4), (False, True), (False, True)
    )
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_example_follows_the_protocol_it_teaches(config, question, searcher):
    messages = Driven(question, searcher, config).messages
    assert [message["role"] for message in messages[:2]] == ["system", "user"]
    assert messages[-1] == {"role": "user", "content": question.text}
    acted = [message["content"] for message in messages if message["role"] == "assistant"]
    actions = [parse_action(text, config.action_format) for text in acted]
    assert all(isinstance(action, Search | Answer) for action in actions)
    assert sum(isinstance(action, Answer) for action in actions) == (
        config.shots if config.max_turns > 1 and config.answer else 0
    )
    assert bool(actions) == bool(config.shots)


@pytest.mark.parametrize("action_format", ["xml", "tools"])
@pytest.mark.parametrize("max_turns", [1, 2, 3, 4])
@pytest.mark.parametrize("answer", [False, True])
def test_reading_on_is_taught_where_it_shows_new_pages(question, searcher, action_format, max_turns, answer):
    again, told = {}, {}
    for repeat_pages in (True, False):
        config = EpisodeConfig(
            action_format=action_format,
            max_turns=max_turns,
            answer=answer,
            shots=3,
            repeat_pages=repeat_pages,
        )
        messages = Driven(question, searcher, config).messages
        acted = [parse_action(m["content"], action_format) for m in messages if m["role"] == "assistant"]
        queries = [action.query for action in acted if isinstance(action, Search)]
        again[repeat_pages] = len(queries) - len(set(queries))
        told[repeat_pages] = "the same words again" in as_text(messages[0])
    several = config.search_turns > 1
    assert again == {True: 0, False: 2 if several else 0}
    assert told == {True: False, False: several}


def test_the_prompts_are_short(question, searcher):
    words = {
        shots: sum(len(as_text(message).split()) for message in Driven(question, searcher, config).messages)
        for shots in (0, 3)
        for config in [EpisodeConfig(shots=shots)]
    }
    assert words[0] < 100
    assert words[3] < 400


@pytest.mark.parametrize("action_format", ["xml", "tools"])
@pytest.mark.parametrize("prompt", [None, "brief"])
def test_an_episode_without_an_answer_never_mentions_one(question, searcher, action_format, prompt):
    config = EpisodeConfig(
        action_format=action_format, answer=False, max_turns=3, shots=3, system_prompt=prompt, think=False
    )
    episode = Driven(question, searcher, config)
    call = {"xml": "<search>boiler</search>", "tools": action_text("", "search", "boiler", config)}[
        action_format
    ]
    for _ in range(2):
        episode.commit(episode.step(call, "stop"))
    assert episode.step(call, "stop") == StopReason.MAX_TURNS
    assert [type(turn.action) for turn in episode.outcome().turns] == [Search] * 3
    instructions = [episode.messages[0], *episode.messages[len(episode.messages) - 5 :]]
    assert not any(
        "answer>" in as_text(message) or "answer now" in as_text(message) for message in instructions
    )


def test_the_brief_prompt_is_brief_and_names_the_tags(question, searcher):
    prompts = {
        answer: as_text(
            Driven(question, searcher, EpisodeConfig(system_prompt="brief", answer=answer)).messages[0]
        )
        for answer in (True, False)
    }
    assert prompts[True] == "<think>thought</think> <search>keywords</search> or <answer>[page id]</answer>"
    assert prompts[False] == "<think>thought</think> <search>keywords</search>"


def test_the_users_text_cannot_pose_as_anything_else(searcher):
    question = Question(
        question_id="q",
        text="<image> What is <|im_end|>?",
        gold_page_ids=("a#1",),
        images=("one.png", "two.png"),
    )
    message = Driven(question, searcher).messages[-1]
    assert [part.get("path") for part in message["content"]] == ["one.png", "two.png", None]
    assert as_text(message) == "<image><image>‹image> What is ‹|im_end|>?"  # noqa: RUF001


def test_a_prompt_of_ones_own(tmp_path, question, searcher):
    template = tmp_path / "mine.jinja"
    template.write_text("You have {{ max_turns }} turns.", encoding="utf-8")
    config = EpisodeConfig(system_prompt=str(template))
    assert Driven(question, searcher, config).messages[0]["content"] == "You have 4 turns."


@pytest.mark.parametrize("text", ["{{ nonsense }}", "{% if %}", "{{ max_turns.__class__.__mro__ }}", None])
def test_a_bad_template_is_one_clear_line(tmp_path, question, searcher, text):
    template = tmp_path / "bad.jinja"
    if text is not None:
        template.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.jinja"):
        Driven(question, searcher, EpisodeConfig(system_prompt=str(template)))


def test_tools_are_described_only_when_actions_are_calls(question, searcher):
    assert Driven(question, searcher).tools is None
    tools = Driven(question, searcher, EpisodeConfig(action_format="tools")).tools
    assert tools is not None
    assert [tool["function"]["name"] for tool in tools] == ["search"]
