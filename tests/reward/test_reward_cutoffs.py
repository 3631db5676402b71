"""Scores at a cutoff of their own, and rewards of their own by source."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_outcomes import outcome_of, outcomes, search, variants

from drag_rl.errors import InputError
from reward import SCORES, RewardConfig, compute_reward
from reward.table import SourceReward


@settings(max_examples=25)
@given(outcomes(), variants)
def test_k_is_top_k_and_one_is_one(outcome, variant):
    top_k = outcome.config.top_k
    for name in ("hit", "mrr", "ndcg", "recall", "precision", "map"):
        assert SCORES[f"{name}@k"](outcome, variant) == SCORES[f"{name}@{top_k}"](outcome, variant)
    for name in ("hit@k", "hit@1", "ndcg@k", "recall@k", "precision@k"):
        family, _, cutoff = name.partition("@")
        same = f"{family}@{top_k if cutoff == 'k' else cutoff}"
        assert SCORES[name](outcome, variant) == SCORES[same](outcome, variant)
    whole = SCORES["average_precision"](outcome, variant)
    assert SCORES[f"map@{outcome.corpus_pages}"](outcome, variant) == whole


def test_a_cutoff_may_be_deeper_than_what_is_shown():
    outcome = outcome_of([search(40, 2)], top_k=3)
    names = ["recall@100", "recall@k", "ndcg@1", "mrr@5"]
    reward, breakdown = compute_reward(outcome, RewardConfig(weights=dict.fromkeys(names, 1.0)))
    assert [breakdown[name] for name in names] == [1.0, 0.5, 0.0, 0.5]
    assert reward == 2.0


@pytest.mark.parametrize(
    "name", ["ndcg@0", "ndcg@-1", "ndcg@1e9", "ndcg@", "ndcg", "@3", "f1@3", "ndcg@10 ", "hit@٣"]
)
def test_another_name_is_refused_with_the_choices(name):
    assert name not in SCORES
    with pytest.raises(InputError) as caught:
        RewardConfig.from_mapping({"weights": {name: 1}}, "here")
    assert f"unknown score {name!r}; known scores: rank_score, " in str(caught.value)
    assert str(caught.value).endswith(
        "or hit or mrr or ndcg or recall or precision or map at a cutoff, such as ndcg@10"
    )


@settings(max_examples=25)
@given(outcomes(), st.sampled_from(["pubmed", "scifact", "other"]), variants)
def test_the_keys_depend_on_the_configuration_alone(outcome, source, variant):
    config = RewardConfig(
        weights={"ndcg@7": 0.0, "deep_rank": 1.0},
        variant=variant,
        by_source={"pubmed": SourceReward(weights={"recall@50": 1.0, "tiered_recall": 1.0})},
    )
    asked = replace(outcome, question=replace(outcome.question, data_source=source))
    _, breakdown = compute_reward(asked, config)
    assert [*breakdown][: len(SCORES) + 2] == [*SCORES, "ndcg@7", "recall@50"]
    assert breakdown.keys() == compute_reward(outcome_of([]), config)[1].keys()


def test_each_source_has_its_own_reward_and_all_others_the_general_one():
    config = RewardConfig.from_mapping(
        {
            "weights": {"hit@1": 1.0},
            "variant": "first",
            "by_source": {
                "pubmed": {"weights": {"recall@50": 2.0}, "variant": "last"},
                "nq": {"weights": {"mrr@k": 1.0}},
            },
        },
        "here",
    )
    outcome = outcome_of([search(2, 60), search(40, 45), search(9, 8)])
    rewards = {
        source: compute_reward(
            replace(outcome, question=replace(outcome.question, data_source=source)), config
        )[0]
        for source in ("pubmed", "nq", "user", "")
    }
    assert rewards == {"pubmed": 2.0, "nq": 0.5, "user": 0.0, "": 0.0}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"weights": {"ndgc@10": 1}}, "option 'by_source.pubmed.weights': unknown score 'ndgc@10'"),
        ({"weights": {}}, "option 'by_source.pubmed.weights': no score has a weight"),
        ({}, "option 'by_source.pubmed.weights': Field required"),
        (
            {"weights": {"hit@1": 1}, "wieghts": 1},
            "unknown option 'by_source.pubmed.wieghts'; known options: weights, variant",
        ),
        ({"weights": {"hit@1": 1}, "variant": "worst"}, "option 'by_source.pubmed.variant': Input should be"),
    ],
)
def test_a_wrong_reward_of_a_source_is_named(own, said):
    with pytest.raises(InputError) as caught:
        RewardConfig.from_mapping({"by_source": {"pubmed": own}}, "here")
    assert str(caught.value).startswith(f"here: {said}")


def test_a_cutoff_deeper_than_the_index_ranks_is_an_error_unless_all_gold_pages_are_ranked():
    def bounded(*ranks):
        return outcome_of([replace(search(*ranks), exact_to=20)])

    config = RewardConfig(weights={"recall@100": 1.0})
    assert compute_reward(bounded(4, 18), config)[0] == 1.0
    with pytest.raises(InputError, match="score 'recall@100': this index ranks pages down to 20 only"):
        compute_reward(bounded(4, None), config)
    assert compute_reward(bounded(4, None), RewardConfig(weights={"recall@20": 1.0}))[0] == 0.5
