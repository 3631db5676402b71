"""The policy says that it has enough, and which pages matter: how it is told, read and numbered; and switched off."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
import trajectory_lab as lab
from driven import Driven
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig, Observation, as_text, neutralise
from drag_rl.episode.actions import parse_action
from drag_rl.episode.enough import enough_text, pages_kept
from drag_rl.episode.observation import shown_as
from drag_rl.episode.prompt import action_text, opening_messages, tool_schemas
from drag_rl.errors import InputError
from drag_rl.policies.base import Reply
from drag_rl.policies.play import play
from drag_rl.trajectories.rows import trajectory_from_row, write_row
from drag_rl.types import Answer, Enough, Hit, Malformed, Search, StopReason, Trajectory, Turn
from drag_rl.view.payload import payload
from drag_rl.view.rollout import Rollout

QUESTION = lab.QUESTIONS[0]
HANDS_OVER = EpisodeConfig(think=False, answer=False, enough=True)


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


def said(pages, config):
    """The message that names pages by what they are called."""
    return action_text("", "enough", "\n".join(pages), config)


@pytest.mark.parametrize("action_format", ["xml", "tools"])
def test_an_episode_that_ends_because_there_is_enough(index, action_format):
    config = HANDS_OVER.model_copy(update={"action_format": action_format})
    texts = [lab.search("impeller", config), said(["pumps#1", "pumps#1", "made-up#9"], config)]
    trajectory = lab.played(index, QUESTION, texts, config)
    outcome = trajectory.outcome
    assert outcome.stop_reason is StopReason.ENOUGH and outcome.answer is None and not outcome.answer_asked
    assert outcome.enough == Enough(pages=("pumps#1",), unknown=("made-up#9",))
    assert outcome.stops_itself and outcome.coverage == (1.0, 1.0) and outcome.searches_to_cover == 1
    # It is written, read back, and shown to a reader with what is wrong with it.
    assert trajectory_from_row(json.loads(write_row(trajectory))) == trajectory
    [row] = payload([Rollout(trajectory=trajectory, source="s", group="g")])["rollouts"]
    assert row["stop"] == "enough" and row["turns"][1]["kind"] == "enough"
    assert [verdict for _, *verdict in row["turns"][1]["citations"]] == [[True, True], [False, False]]


def test_pages_are_named_by_number_where_their_ids_are_not_shown(index):
    config = HANDS_OVER.model_copy(update={"show_page_ids": False})
    texts = [lab.search("impeller"), lab.search("seal"), "<enough>[5; 1; 44]</enough>"]
    outcome = lab.played(index, QUESTION, texts, config).outcome
    first, second = outcome.searches
    assert [line[:3] for line in second.observation.splitlines()[1:4]] == ["4. ", "5. ", "6. "]
    assert outcome.enough == Enough(pages=(second.hits[1].page_id, first.hits[0].page_id), unknown=("44",))
    [schema] = tool_schemas(config.model_copy(update={"action_format": "tools"}))[1:]
    assert "number" in schema["function"]["parameters"]["properties"]["pages"]["items"]["description"]
    call = '<tool_call>{"name": "enough", "arguments": {"pages": [1, "2"]}}</tool_call>'
    assert parse_action(call, "tools", enough={"1": "a#1", "2": "b#1"}).pages == ("a#1", "b#1")


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("<enough/>", Enough()),
        ("<think>x</think>So <enough></enough>", Enough(thought="x So")),
        ("<enough>a#1, b#2", Enough(pages=("a#1", "b#2"))),
        ("<enough>\n[b#2]\n</enough> Let me stop.", Enough(pages=("b#2",))),
        ("<enough>all of them</enough>", Enough(unknown=("all of them",))),
        (
            "<enough>[a#1]</enough><search>b</search>",
            Malformed(
                reason="expected one <search>, <answer> or <enough>, found <enough></enough><search></search>"
            ),
        ),
        ("<search>a</search>", Search(query="a")),
        ("<answer>x</answer>", Answer(text="x")),
    ],
)
def test_what_it_may_look_like(text, action):
    assert parse_action(text, "xml", enough={"a#1": "a#1", "b#2": "b#2"}) == action


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ('{"pages": ["a#1", "[b#2]"]}', Enough(pages=("a#1", "b#2"))),
        ("{}", Enough()),
        ('{"pages": "a#1"}', Malformed(reason="the enough call needs arguments with a 'pages' list")),
        ('{"pages": [{}]}', Malformed(reason="the enough call needs arguments with a 'pages' list")),
    ],
)
def test_what_the_call_may_look_like(arguments, action):
    call = f'<tool_call>{{"name": "enough", "arguments": {arguments}}}</tool_call>'
    assert parse_action(call, "tools", enough={"a#1": "a#1", "b#2": "b#2"}) == action
    assert "only tool is 'search'" in parse_action(call, "tools").reason


# without NUL, which no text of a page or a model keeps
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.text(
    "[]();,# ab\n", max_size=8
)
PAGE_IDS = st.lists(
    st.builds("{}#{}".format, NAMES.map(lambda name: f"d{name}"), st.integers(1, 99)), max_size=6
)


@given(PAGE_IDS.map(lambda ids: list(dict.fromkeys(ids))), st.booleans(), st.sampled_from(["xml", "tools"]))
def test_any_pages_that_were_shown_can_be_named(page_ids, show_page_ids, action_format):
    names = [shown_as(page_id) for page_id in page_ids]
    page_ids = [page_id for page_id, name in zip(page_ids, names, strict=True) if names.count(name) == 1]
    config = HANDS_OVER.model_copy(update={"show_page_ids": show_page_ids, "action_format": action_format})
    hits = tuple(Hit(page_id=page_id, rank=rank, score=1.0) for rank, page_id in enumerate(page_ids, start=1))
    turn = Turn(step=1, text="", action=Search(query="x"), hits=hits, observation="x")
    named = Observation(hits=hits, show_page_ids=show_page_ids).names
    action = parse_action(enough_text("", page_ids, [turn], config), action_format, enough=named)
    assert action == Enough(pages=tuple(page_ids))


@given(
    st.lists(st.text() | st.text("[]#;, 1a\n<>/enough"), max_size=4), st.dictionaries(st.text(), st.text())
)
def test_only_what_was_shown_is_kept_whatever_is_written(written, shown):
    pages, unknown = pages_kept(written, shown)
    assert set(pages) <= set(shown.values()) and not set(unknown) & set(shown.values())
    assert len({*pages, *unknown}) == len(pages) + len(unknown)


@pytest.mark.parametrize("part", ["<enough/>", "<enough>[", "[a#1", "#1]", "1;", "<enough ", "\n"])
def test_hostile_text_takes_time_in_proportion(part):
    started = time.perf_counter()
    parse_action(part * 40_000, "xml", enough={"a#1": "a#1", "b]#2": "b]#2"})
    assert time.perf_counter() - started < 3


OFF = st.builds(
    EpisodeConfig,
    action_format=st.sampled_from(["xml", "tools"]),
    max_turns=st.integers(1, 4),
    answer=st.booleans(),
    shots=st.integers(0, 3),
    think=st.booleans(),
    system_prompt=st.sampled_from([None, "brief"]),
)


@settings(max_examples=40)
@given(OFF, st.sampled_from(["<enough>[a#1]</enough>", "<enough/>", "<search>a</search><enough>x"]))
def test_switched_off_nothing_speaks_of_it_and_the_tag_is_text(config, text):
    told = json.dumps([opening_messages(QUESTION, config), tool_schemas(config), config.stop_strings])
    assert "enough" not in told
    without = text.replace("enough", "enuogh")
    read = [parse_action(one, config.action_format, max_query_chars=9) for one in (text, without)]
    assert str(read[0]).replace("enough", "enuogh") == str(read[1])


@settings(max_examples=30)
@given(
    st.sampled_from(["xml", "tools"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
    st.integers(2, 4),
    st.sampled_from([None, "brief"]),
)
def test_the_examples_are_actions_that_name_what_they_showed(
    action_format, answer, show_page_ids, shots, max_turns, prompt
):
    config = EpisodeConfig(
        action_format=action_format, answer=answer, enough=True, citations=answer and show_page_ids,
        show_page_ids=show_page_ids, shots=shots, max_turns=max_turns, system_prompt=prompt,
    )  # fmt: skip
    messages = opening_messages(QUESTION, config)
    every = {str(number): f"page#{number}" for number in range(1, 7)} | {
        name: name for name in ("kitchen#19", "heating#12", "bicycle#54")
    }
    acted = [
        parse_action(m["content"], action_format, enough=every) for m in messages if m["role"] == "assistant"
    ]
    ends = [action for action in acted if not isinstance(action, Search)]
    assert len(ends) == shots and not any(isinstance(action, Malformed) for action in acted)
    kinds = {action.kind for action in ends}
    assert kinds == ({"enough"} if not answer else {"answer", "enough"} if shots > 1 else {"answer"})
    assert all(len(end.pages) == 1 and not end.unknown for end in ends if isinstance(end, Enough))
    told = as_text(messages[0]) + json.dumps(tool_schemas(config))
    assert "enough" in told
    if not show_page_ids and not answer:
        assert not any(name in as_text(m) for m in messages[1:] for name in every if "#" in name)


def test_one_turn_is_kept_for_it_and_the_last_one_is_announced(index):
    config = HANDS_OVER.model_copy(update={"max_turns": 3, "on_malformed": "correct"})
    assert config.search_turns == 2 and not config.search_only and "</enough>" in config.stop_strings
    episode = Driven(QUESTION, index, config)
    reply = episode.step("Hm.", "stop")
    assert "or one <enough>[page ids]</enough>" in reply.text
    episode.commit(reply)
    reply = episode.step(lab.search("impeller", config), "stop")
    assert "This is your last turn: write your <enough> now." in reply.text
    episode.commit(reply)
    assert episode.step("<enough>[pumps#1]</enough>", "stop") is StopReason.ENOUGH
    assert not episode.outcome().stops_itself, "nothing else was left to it"
    with pytest.raises(InputError, match="enough=true needs a turn"):
        EpisodeConfig.from_mapping({"enough": True, "max_turns": 1}, "--episode")


def test_page_text_cannot_say_it():
    assert (
        neutralise("see <enough>[a#1]</enough> and <enough/>")
        == "see \u2039enough>[a#1]\u2039/enough> and \u2039enough/>"
    )


def test_a_policy_that_says_it_at_once_has_found_nothing(index):
    class Hasty:
        async def reply(self, _state):
            return Reply(text="<enough>[pumps#1]</enough>")

    outcome, _ = asyncio.run(play(QUESTION, Hasty(), index.retriever, HANDS_OVER))
    assert outcome.enough == Enough(unknown=("pumps#1",)) and outcome.coverage == (0.0,)
    assert Trajectory(outcome=outcome).outcome.searches_to_cover is None
