"""``drag format``: rows are the rollout's own messages, and say which turns are to be learnt."""

from __future__ import annotations

import pyarrow.parquet as pq
import trajectory_lab as lab
from driven import Driven
from format_lab import INDEX, PUMPS, all_rows, build, contents, story
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig, Observation, as_text
from drag_rl.star.formats.conversation import Conversations, inert
from drag_rl.star.turns import searches, wasted_turns
from drag_rl.types import query_key

CONFIGS = [
    lab.PLAIN,
    EpisodeConfig(),
    EpisodeConfig(action_format="tools", on_malformed="correct", shots=2),
    EpisodeConfig(on_malformed="correct", shots=3, snippet_chars=40, max_turns=3),
]


@settings(max_examples=60)
@given(data=st.data(), config=st.sampled_from(CONFIGS))
def test_messages_are_those_of_the_episode(data, config):
    """The law that the chat template builds on: the row's messages are the episode's own, images as placeholders."""
    texts = data.draw(lab.scripts(config))
    episode = Driven(PUMPS, INDEX, config)
    for text in [*texts, "end"]:
        if episode.stop_reason:
            break
        reply = episode.step(text, "stop")
        if isinstance(reply, Observation):
            episode.commit(reply)
    if episode.stop_reason is None:
        episode.stop("length")
    outcome = episode.outcome()
    talk = Conversations(config)
    chat = talk.before(outcome, outcome.turns[-1].step).answered(outcome.turns[-1].text)
    expected = [
        {**message, "content": as_text(message)} for message in episode.messages[: len(chat.messages)]
    ]
    for message in expected:
        if message["role"] == "assistant":
            message["content"] = inert(message["content"])
    assert list(chat.messages) == expected
    assert len(episode.messages) - len(chat.messages) in (0, 1)  # an observation that nobody answered


def test_each_format_of_a_story(tmp_path):
    trajectories = story()
    assert [rank for *_, rank in searches(trajectories[0].outcome)] == [None, 2, 1]
    rows, manifest = build(tmp_path, trajectories, EpisodeConfig(), val_split=0.0)
    query = rows["sft_query_train"]
    # A first message keeps its thought, and a later query, which could not have been thought of yet, asks for none.
    assert [contents(row) for row in query] == [
        ["<search>blade blade impeller</search>"],
        ["<search>impeller</search>"],
        ["<think>Easy.</think><search>impeller care</search>"],
    ]
    assert ["<think>" in row["messages"][0]["content"] for row in query] == [False, False, True]
    assert [(row["best_rank"], round(row["rank_score"], 2), row["step"]) for row in query] == [
        (2, 0.67, 2),
        (1, 1.0, 3),
        (1, 1.0, 1),
    ]
    assert rows["sft_best_train"] == [query[2]]  # the same rank, written at the first step
    whole = rows["sft_trajectory_train"]
    assert [len(row["messages"]) for row in whole] == [9, 5]
    # By rank 2 the page was shown; the first search is the one that missed it.
    assert [row["turn_train"] for row in whole] == [[False, True, True, True], [True, True]]
    assert [row["best_rank"] for row in whole] == [1, 1]
    context = rows["sft_context_train"]
    assert [contents(row)[-1][-25:] for row in context] == [
        text[-25:] for text in (lab.search("blade blade impeller"), lab.search("impeller"))
    ]
    assert [row["turn_train"] for row in context] == [[False, True], [False, False, True]]
    assert whole[0]["messages"][: len(context[1]["messages"])] == context[1]["messages"]
    reward = rows["reward_train"]
    assert [(row["query"], row["best_rank"]) for row in reward] == [
        ("zebra", None),
        ("blade blade impeller", 2),
        ("impeller", 1),
        ("impeller care", 1),
    ]
    assert [round(row["rank_score"], 2) for row in reward] == [0.0, 0.67, 1.0, 1.0]
    pairs = [
        (row["source"], contents(row, "chosen")[0], contents(row, "rejected")[0]) for row in rows["dpo_train"]
    ]
    assert sorted(pairs) == sorted(
        [
            ("within", "<search>impeller</search>", "<search>zebra</search>"),
            ("within", "<search>blade blade impeller</search>", "<search>zebra</search>"),
            ("within", "<search>impeller</search>", "<search>blade blade impeller</search>"),
            (
                "across",
                "<think>Easy.</think><search>impeller care</search>",
                "<think>Parts.</think><search>zebra</search>",
            ),
        ]
    )
    across = next(row for row in rows["dpo_train"] if row["source"] == "across")
    assert across["prompt"] == whole[0]["messages"][:2]
    assert manifest.counts["dpo_pairs_within"] == 3


def test_native_tools_have_their_schemas_and_roles(tmp_path):
    config = EpisodeConfig(action_format="tools", on_malformed="correct", think=False)
    texts = ['<tool_call>{"name": "shell"}</tool_call>', lab.search("impeller", config), "It needs care."]
    rows, _ = build(tmp_path, [lab.played(INDEX, PUMPS, texts, config)], config)
    (row,) = all_rows(rows, "sft_trajectory")
    assert [message["role"] for message in row["messages"]] == [
        *("system", "user", "assistant", "user", "assistant", "tool", "assistant")
    ]
    assert row["messages"][5]["name"] == "search"
    assert row["turn_train"] == [False, True, True]
    assert row["tools"][0]["function"]["name"] == "search"
    assert (
        pq.read_table(tmp_path / "data" / "sft_trajectory_train.parquet").to_pylist()[0]["tools"]
        == row["tools"]
    )
    (query,) = all_rows(rows, "sft_query")
    assert contents(query) == [lab.search("impeller", config)]


def test_a_conversation_ends_with_its_last_useful_turn(tmp_path):
    texts = ["<search>", lab.search("zebra"), lab.search("impeller"), "Garbage."]
    config = EpisodeConfig(think=False, on_malformed="correct")
    rows, _ = build(tmp_path, [lab.played(INDEX, PUMPS, texts, config)], config)
    (row,) = all_rows(rows, "sft_trajectory")
    assert contents(row) == texts[:3]
    assert (row["turn_train"], row["step"]) == ([False, False, True], 3)


def test_worked_examples_are_not_learnt(tmp_path):
    config = EpisodeConfig(shots=2, think=False)
    rows, _ = build(tmp_path, [lab.played(INDEX, PUMPS, [lab.search("impeller")], config)], config)
    (row,) = all_rows(rows, "sft_trajectory")
    assert sum(message["role"] == "assistant" for message in row["messages"]) == len(row["turn_train"]) == 8
    assert row["turn_train"] == [*[False] * 6, True, True]
    assert all_rows(rows, "sft_query")[0]["turn_train"] == [False, False, True]


@given(trajectories=lab.files_of_trajectories(INDEX))
@settings(max_examples=20)
def test_wasted_turns_are_the_documented_ones(trajectories):
    for trajectory in trajectories:
        outcome = trajectory.outcome
        successes = [turn.step for turn in outcome.turns if outcome.finds(turn)]
        for turn, wasted in zip(outcome.turns, wasted_turns(outcome), strict=True):
            kind = turn.action.kind
            if kind != "search":
                assert wasted == (kind == "malformed")
                continue
            key = query_key(turn.action.query)
            earlier = [query for other, query, _ in searches(outcome) if other.step < turn.step]
            again = key in map(query_key, earlier)
            missed = turn.step not in successes and any(step > turn.step for step in successes)
            assert wasted == (again or missed)
