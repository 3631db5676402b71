"""What `drag format` and `drag filter` make of episodes that may end by saying that there is enough."""

from __future__ import annotations

import json

import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.actions import parse_action
from drag_rl.errors import InputError
from drag_rl.star.formats.build import FormatOptions, write_training_data
from drag_rl.star.formats.stopping import right_stop, shown_by, stop_example, stops_too_early
from drag_rl.star.rules import RULES, Limits
from drag_rl.star.turns import wasted_turns
from drag_rl.types import Enough, Search

CONFIG = EpisodeConfig(think=False, answer=False, enough=True)
QUESTION = lab.QUESTIONS[0]
STOP = "<enough>[pumps#1]</enough>"


@pytest.fixture(scope="module")
def index():
    return lab.shared_index()


def rows(folder, name, trajectories, config=CONFIG, **options):
    source = lab.write(folder / "processed.jsonl", trajectories, config)
    write_training_data(source, folder / "out", FormatOptions(val_split=0.0, **options))
    return [json.loads(line) for line in (folder / "out" / f"{name}_train.jsonl").read_text().splitlines()]


def said(row):
    return [message["content"] for message in row["messages"] if message["role"] == "assistant"]


@pytest.mark.parametrize("show_page_ids", [True, False])
def test_a_policy_that_never_stopped_teaches_when_to(index, tmp_path, show_page_ids):
    config = CONFIG.model_copy(update={"show_page_ids": show_page_ids})
    texts = [lab.search("seal discharge"), lab.search("impeller"), lab.search("seal"), lab.search("stem")]
    played = lab.played(index, QUESTION, texts, config)
    [row] = rows(tmp_path, "sft_trajectory", [played], config)
    assert said(row) == [*texts[:2], STOP if show_page_ids else "<enough>[4]</enough>"]
    assert row["turn_train"] == [False, True, True], "the first search found nothing, a later one did"
    [pair] = [row for row in rows(tmp_path, "dpo", [played], config) if row["source"] == "stop"]
    assert pair["chosen"][0]["content"] == said(row)[-1] and pair["rejected"][0]["content"] == texts[2]
    assert pair["prompt"] == row["messages"][:-1]


def test_its_own_words_are_kept_where_they_were_right(index, tmp_path):
    config = CONFIG.model_copy(update={"think": True})
    own = f"<think>That is it.</think>{STOP}"
    played = lab.played(index, QUESTION, [lab.search("impeller"), own], config)
    [row] = rows(tmp_path, "sft_trajectory", [played], config)
    assert said(row)[-1] == own and row["turn_train"] == [True, True]
    wrong = lab.played(index, QUESTION, [lab.search("impeller"), "<enough>[pumps#2]</enough>"], config)
    [row] = rows(tmp_path / "wrong", "sft_trajectory", [wrong], config)
    assert said(row)[-1] == f"<think>The pages found hold the answer.</think>{STOP}"


def test_stopping_too_early_is_no_example(index):
    played = lab.played(index, QUESTION, [lab.search("seal discharge"), "<enough>[pumps#2]</enough>"], CONFIG)
    assert wasted_turns(played.outcome) == (False, True)


def test_going_on_is_better_than_stopping_without_the_gold_page(index, tmp_path):
    first, early = lab.search("seal discharge"), "<enough>[pumps#2]</enough>"
    samples = [
        [first, early],
        [first, lab.search("impeller"), STOP],  # finds it
        [first, lab.search("seal")],  # goes on, and finds nothing
        [lab.search("stem"), lab.search("impeller"), STOP],  # finds it, but after another search
    ]
    played = [lab.played(index, QUESTION, texts, CONFIG, sample=n) for n, texts in enumerate(samples)]
    [pair] = [row for row in rows(tmp_path, "dpo", played) if row["source"] == "early"]
    assert pair["chosen"][0]["content"] == samples[1][1] and pair["rejected"][0]["content"] == early
    assert [pair["chosen_sample"], pair["rejected_sample"]] == [1, 0] and pair["margin"] == 1.0
    assert pair["prompt"][-2]["content"] == first
    covered = lab.played(index, QUESTION, [lab.search("impeller"), STOP], CONFIG)
    assert list(stops_too_early(covered.outcome)) == []


def test_where_an_answer_is_asked_for_it_stays_the_end(index, tmp_path):
    config = EpisodeConfig(think=False, enough=True)
    answered = lab.played(index, QUESTION, [lab.search("impeller"), lab.answer("x [pumps#1]")], config)
    [row] = rows(tmp_path, "sft_trajectory", [answered], config)
    assert said(row)[-1] == lab.answer("x [pumps#1]")


TEXTS = st.lists(
    st.sampled_from([lab.search(word) for word in lab.WORDS[:6]] + [STOP, "<enough/>", "Hm."]),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40)
@given(texts=TEXTS, question=st.sampled_from(lab.QUESTIONS[:3]))
def test_the_example_ends_where_the_last_gold_page_was_shown(index, texts, question):
    from drag_rl.star.formats.conversation import Conversations

    outcome = lab.played(index, question, texts, CONFIG).outcome
    talk = Conversations(CONFIG)
    step, example = shown_by(outcome), stop_example(outcome, talk)
    gold = set(question.gold_page_ids)
    seen = [
        gold <= {p for t in outcome.turns[:n] for p in t.shown_page_ids}
        for n in range(1, len(outcome.turns) + 1)
    ]
    assert step == (seen.index(True) + 1 if True in seen else None)
    if example is None:
        assert step is None
        return
    chat, useful = example
    shown = {page: page for turn in outcome.turns[:step] for page in turn.shown_page_ids}
    read = parse_action(right_stop(outcome, step, talk), "xml", enough=shown)
    assert isinstance(read, Enough) and set(read.pages) == gold and not read.unknown
    assert len(useful) == step + 1 and useful[-1] and chat.messages[-1]["role"] == "assistant"
    assert all(
        isinstance(t.action, Search) for t, use in zip(outcome.turns[:step], useful, strict=False) if use
    )


def test_episodes_whose_hits_were_not_numbered_through_are_refused(index, tmp_path):
    config = EpisodeConfig(think=False, answer=False, show_page_ids=False)
    source = lab.write(
        tmp_path / "p.jsonl", [lab.played(index, QUESTION, [lab.search("impeller")], config)], config
    )
    with pytest.raises(InputError, match="not numbered through"):
        write_training_data(
            source, tmp_path / "out", FormatOptions(), lambda base: base.model_copy(update={"enough": True})
        )


@pytest.mark.parametrize(
    ("texts", "well", "no_more"),
    [
        ([lab.search("impeller"), STOP], True, True),
        ([lab.search("impeller"), lab.search("stem"), STOP], True, False),
        ([lab.search("seal discharge"), STOP], False, True),
        ([lab.search("impeller")] * 4, False, False),
    ],
)
def test_rules_of_the_filter(index, texts, well, no_more):
    played = lab.played(index, QUESTION, texts, CONFIG)
    verdicts = [RULES[name].build(Limits())(played) for name in ("stopped_well", "no_search_after_enough")]
    assert verdicts == [well, no_more]
    off = lab.played(index, QUESTION, texts[:1] * 2, lab.PLAIN)
    assert all(RULES[name].build(Limits())(off) for name in ("stopped_well", "no_search_after_enough"))
