"""No way to game the default reward earns more than an honest search, on a corpus of real text."""

from __future__ import annotations

from statistics import fmean

import pytest
from tiny_corpus import index_of

from drag_rl.doctor.probing import HONEST, outcomes_of
from drag_rl.episode import EpisodeConfig
from drag_rl.policies.table import probes
from drag_rl.types import Question
from reward import RewardConfig, compute_reward
from reward.turn_credit import TurnCreditConfig, turn_credits

TOPICS = {
    "How do I merge two tables by key?": "The function joins two tables by the columns that both of them have.",
    "How do I read a spreadsheet file?": "A spreadsheet is exported as comma separated values and then read.",
    "What starts the engine?": "Turn the key to start the engine, and wait until the oil pressure rises.",
    "How is a graph plotted?": "Graphs are drawn by the plot command, with one call for each curve.",
    "Which printers are supported?": "Printers that understand the page description language are supported.",
    "How do I sort the rows of a matrix?": "Rows are put in order by an index vector that the sort returns.",
}
PAGES = [
    f"{text} Chapter {number}, page of the manual." for number, text in enumerate(TOPICS.values(), start=1)
]
PADDING = [
    f"Nothing of interest stands on sheet {number} of the annexe, its tables are empty."
    for number in range(40)
]
QUESTIONS = [
    Question(question_id=str(number), text=text, gold_page_ids=(f"doc#{number}",), answers=(answer,))
    for number, (text, answer) in enumerate(TOPICS.items(), start=1)
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(tmp_path_factory.mktemp("probes"), [*PAGES, *PADDING])


EPISODES = {
    "default": EpisodeConfig(),
    "lenient": EpisodeConfig(max_query_chars=0, on_malformed="correct"),
    "single": EpisodeConfig(max_turns=1),
}


@pytest.mark.parametrize("episode", EPISODES)
@pytest.mark.parametrize("probe", probes())
def test_gaming_earns_no_more_than_an_honest_search(probe, episode, index):
    rewards, credits = {}, {}
    for policy in (HONEST, probe):
        outcomes = outcomes_of(policy, QUESTIONS, index.retriever, EPISODES[episode])
        rewards[policy] = fmean(compute_reward(outcome, RewardConfig())[0] for outcome in outcomes)
        credits[policy] = fmean(sum(turn_credits(outcome, TurnCreditConfig())) for outcome in outcomes)
    assert rewards[HONEST] > 0.5, "the questions can be answered"
    assert rewards[probe] <= rewards[HONEST]
    assert credits[probe] <= credits[HONEST]


@pytest.mark.parametrize(
    "probe", ["probe-forged-thought", "probe-prompt-answer", "probe-gold-by-heart", "probe-prose"]
)
def test_what_is_forged_earns_nothing(probe, index):
    for outcome in outcomes_of(probe, QUESTIONS, index.retriever, EpisodeConfig()):
        reward, breakdown = compute_reward(outcome, RewardConfig())
        assert reward == 0.0
        assert breakdown["citation_f1"] == 0.0
        assert breakdown["answer_in_context"] == 0.0


def test_the_cost_of_length_bites_where_queries_may_be_long(index):
    long = outcomes_of("probe-very-long-query", QUESTIONS, index.retriever, EPISODES["lenient"])
    free = RewardConfig(weights={"rank_score": 0.5, "deep_rank": 0.5})
    saved = [
        compute_reward(outcome, free)[0] - compute_reward(outcome, RewardConfig())[0] for outcome in long
    ]
    assert min(saved) > 0.05
