"""What a model wrote: its tokens in their places, how open each was, its sentences; and clusters of pages."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from fake_openai import Token, token_log_prob
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.prompted.draft import Draft, least_entropy
from drag_rl.policies.prompted.page_clusters import clusters
from drag_rl.policies.prompted.reading import as_query
from drag_rl.policies.prompted.sentences import first_sentence, sentence_spans
from drag_rl.policies.prompted.speculative import subsets_of
from drag_rl.policies.server.completion import Choice
from drag_rl.types import Hit

TEXT = st.text(alphabet=st.sampled_from("ab .!?\n\"')。é…"), max_size=60)


def draft_of(text, tokens):
    content = [token_log_prob(Token(text=token, log_prob=-1.0)) for token in tokens]
    return Draft.of(Choice.model_validate({"message": {"content": text}, "logprobs": {"content": content}}))


@given(parts=st.lists(st.text(min_size=1, max_size=6).filter(lambda part: "<" not in part), max_size=12))
def test_tokens_stand_where_their_text_does(parts):
    text = "".join(parts)
    draft = draft_of(text, parts)
    assert [draft.text[token.begin : token.end] for token in draft.tokens] == parts
    assert draft.within(0, len(text)) == draft.tokens


def test_tokens_of_a_thought_are_left_out_and_broken_characters_have_no_width():
    broken, end = "\ufffd", "<|im_end|>"
    draft = draft_of(
        "<think>so</think>The é.", ["<think>", "so", "</think>", "The", " ", broken, broken, ".", end]
    )
    assert draft.text == "The é."
    assert [draft.text[token.begin : token.end] for token in draft.tokens][-5:] == ["The", " ", "", "", "."]


@given(counts=st.lists(st.integers(1, 1000), min_size=2, max_size=40), known=st.integers(2, 20))
def test_the_entropy_of_what_is_known_is_a_lower_bound_and_exact_where_all_is(counts, known):
    shares = sorted((count / sum(counts) for count in counts), reverse=True)
    whole = float(entropy(shares))
    bound = least_entropy([log(share) for share in shares[:known]])
    assert bound <= whole + 1e-9
    assert known < len(shares) or bound == pytest.approx(whole)


@given(text=TEXT)
def test_sentences_hold_all_that_is_not_space_in_order(text):
    spans = sentence_spans(text)
    assert all(begin < end for begin, end in spans) and spans == sorted(spans)
    assert "".join("".join(text[begin:end].split()) for begin, end in spans) == "".join(text.split())
    assert first_sentence(text) == (text[slice(*spans[0])] if spans else "")


@given(text=st.text(max_size=40))
def test_a_query_is_never_empty_and_one_line(text):
    query = as_query(text, EpisodeConfig(max_query_chars=0))
    assert query.strip() and len(query.splitlines()) == 1


@given(
    texts=st.lists(
        st.lists(st.sampled_from(["pump", "seal", "rotor", "blade"]), max_size=5).map(" ".join), max_size=9
    ),
    number=st.integers(1, 4),
)
def test_clusters_part_the_pages(texts, number):
    groups = clusters(texts, number)
    assert sorted(place for group in groups for place in group) == list(range(len(texts)))
    assert len(groups) <= number and all(group == sorted(group) for group in groups)


def test_clusters_are_those_of_scikit_learn_where_pages_differ_enough():
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    draw = np.random.default_rng(0)
    topics = [["impeller", "seal", "pump"], ["blade", "rotor", "stage"], ["copper", "sheath", "wire"]]
    texts = [" ".join(draw.choice(topic, 12)) for topic in topics for _ in range(4)]
    labels = KMeans(3, n_init=10, random_state=0).fit_predict(TfidfVectorizer().fit_transform(texts))
    theirs = sorted([place for place in range(12) if labels[place] == label] for label in range(3))
    assert clusters(texts, 3) == theirs


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), number=st.integers(1, 8))
def test_subsets_have_one_page_of_each_cluster_and_differ(sizes, number):
    ranks = iter(range(1, 99))
    groups = [[next(ranks) for _ in range(size)] for size in sizes]
    groups = [[Hit(page_id=f"d#{rank}", rank=rank, score=0.0) for rank in group] for group in groups]
    subsets = subsets_of(groups, number)
    assert 1 <= len(subsets) == len(set(subsets)) <= number
    for subset in subsets:
        assert [sum(page in group for page in subset) for group in groups] == [1] * len(groups)
