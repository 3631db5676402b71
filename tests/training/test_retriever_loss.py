"""The losses of retrievers: those of colpali-engine, by its own code; cached as uncached; pairs that do not count."""

from __future__ import annotations

from functools import partial

import colpali_lab  # noqa: F401 (first: it undoes what the next does)
import numpy as np
import pytest
import torch
from colpali_engine.loss import ColbertLoss, ColbertNegativeCELoss, ColbertPairwiseCELoss
from sentence_transformers.multi_vector_encoder.losses import MultiVectorMultipleNegativesRankingLoss
from sentence_transformers.multi_vector_encoder.scoring import mean_colbert_scores

from drag_rl.training.retriever.loss import LateInteractionLoss
from drag_rl.training.retriever.options import LossOptions

ONE_WAY = {"both_directions": False}


def vectors(rows, tokens, *, seed, lengths=None, width=16):
    """Random vectors of length 1 and their mask, padded with zeros; all similarities are positive.

    colpali-engine has no mask: its padding would win where all else is negative.
    """
    drawn = torch.rand(rows, tokens, width, generator=torch.Generator().manual_seed(seed)) + 0.01
    mask = torch.ones(rows, tokens, dtype=torch.bool)
    for row, length in enumerate(lengths or []):
        mask[row, length:] = False
    return torch.nn.functional.normalize(drawn, dim=-1) * mask[..., None], mask


def loss_of(columns, options, labels=None, **more):
    """Our loss of columns of vectors."""
    loss = LateInteractionLoss(torch.nn.Identity(), LossOptions(**options), **more)
    loss._labels = labels
    return loss.calculate_loss([[vectors] for vectors, _ in columns], [[mask] for _, mask in columns])


@pytest.fixture(params=["unpadded", "padded"])
def columns(request):
    """Five questions, their gold pages, and a mined page for each."""
    padded = request.param == "padded"
    return [
        vectors(5, 7, seed=1, lengths=[7, 3, 5, 1, 6] if padded else None),
        vectors(5, 12, seed=2, lengths=[12, 2, 9, 12, 5] if padded else None),
        vectors(5, 12, seed=3, lengths=[4, 12, 12, 8, 1] if padded else None),
    ]


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("doubtful", [0.0, 0.95])
@pytest.mark.parametrize(("name", "temperature"), [("infonce", 0.02), ("infonce", 0.5), ("pairwise", 1.0)])
def test_losses_of_a_batch_are_those_of_colpali_engine(columns, name, temperature, doubtful, mean):
    (queries, _), (pages, _) = columns[:2]
    theirs = {"infonce": ColbertLoss, "pairwise": ColbertPairwiseCELoss}[name](
        temperature=temperature,
        normalize_scores=mean,
        pos_aware_negative_filtering=bool(doubtful),
        filter_threshold=doubtful,
    )
    options = {"name": name, "temperature": temperature, "doubtful_share": doubtful, "mean_scores": mean}
    ours = loss_of(columns[:2], options | ONE_WAY)
    torch.testing.assert_close(ours, theirs(queries, pages), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("mean", [True, False])
def test_the_loss_of_mined_pages_is_that_of_colpali_engine(columns, weight, mean):
    (queries, _), (pages, _), (mined, _) = columns
    theirs = ColbertNegativeCELoss(temperature=0.1, normalize_scores=mean, in_batch_term_weight=weight)
    options = {"name": "hard-negative", "temperature": 0.1, "in_batch_weight": weight, "mean_scores": mean}
    ours = loss_of(columns, options | ONE_WAY)
    torch.testing.assert_close(ours, theirs(queries, pages, mined[:, None]), atol=1e-6, rtol=1e-6)


def test_infonce_with_mined_pages_is_that_of_sentence_transformers(columns):
    """Its loss embeds by a model, which here looks the vectors up."""

    class Lookup(torch.nn.Module):
        def forward(self, features, task):
            del task
            return {"token_embeddings": features["vectors"], "attention_mask": features["mask"]}

    theirs = MultiVectorMultipleNegativesRankingLoss(
        Lookup(), scale=1 / 0.05, similarity_fct=mean_colbert_scores
    )
    expected = theirs([{"vectors": rows, "mask": mask, "input_ids": mask.long()} for rows, mask in columns])
    ours = loss_of(columns, {"temperature": 0.05} | ONE_WAY)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-6)


def scores_by_hand(queries, pages, mean):
    """MaxSim by loops over single vectors, in numpy."""
    table = np.zeros((len(queries[0]), len(pages[0])))
    for q, (query, shown) in enumerate(zip(*queries, strict=True)):
        for d, (page, seen) in enumerate(zip(*pages, strict=True)):
            best = [max(float(token @ part) for part in page[seen]) for token in query[shown]]
            table[q, d] = sum(best) / (len(best) if mean else 1)
    return table


def cross_entropy(row, gold):
    """Of one row of scores, by its definition."""
    exponents = np.exp(row - row.max())
    return -np.log(exponents[gold] / exponents.sum())


def test_both_directions_ask_each_page_for_its_question(columns):
    table = scores_by_hand(columns[0], columns[1], mean=True) / 0.1
    there = np.mean([cross_entropy(row, q) for q, row in enumerate(table)])
    back = np.mean([cross_entropy(row, d) for d, row in enumerate(table.T)])
    ours = loss_of(columns[:2], {"temperature": 0.1})
    assert float(ours) == pytest.approx((there + back) / 2, abs=1e-5)


def test_other_gold_pages_of_a_question_are_no_negatives(columns):
    """Page 30 is gold of the first two questions, page 31 of the first too, where it is mined for another."""
    labels = torch.tensor(
        [[30, 40, 30, 31], [30, 41, 30, -1], [32, 31, 32, -1], [33, 43, 33, -1], [34, 44, 34, -1]]
    )
    gold, mined = (scores_by_hand(columns[0], pages, mean=True) / 0.1 for pages in columns[1:])
    table = np.stack([gold, mined], axis=2).reshape(5, 10)
    for question, column in ((0, 2), (0, 5), (1, 0)):
        table[question, column] = -np.inf
    expected = np.mean([cross_entropy(row, 2 * q) for q, row in enumerate(table)])
    ours = loss_of(columns, {"temperature": 0.1} | ONE_WAY, labels=labels)
    assert float(ours) == pytest.approx(expected, abs=1e-5)
    back = [cross_entropy(table[:, 2 * d], d) for d in range(5)]
    both = loss_of(columns, {"temperature": 0.1}, labels=labels)
    assert float(both) == pytest.approx((expected + np.mean(back)) / 2, abs=1e-5)


def test_a_question_without_any_wrong_page_adds_nothing():
    columns = [vectors(1, 3, seed=1), vectors(1, 4, seed=2)]
    for name in ("infonce", "pairwise"):
        assert float(loss_of(columns, {"name": name})) == 0


def gradients(encoder, batch, labels, options, **more):
    """The loss of a batch and the gradient of every weight."""
    encoder.zero_grad()
    loss = LateInteractionLoss(encoder, LossOptions(**options), **more)
    value = loss([dict(column) for column in batch], labels)
    value.backward()
    return value.detach(), {
        name: weight.grad.clone() for name, weight in encoder.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("mini_batch_size", [1, 2, 3])
def test_cached_gradients_are_those_of_the_whole_batch(retriever, symbol_pages, mini_batch_size):
    """Of the real model: images of several sizes, queries of several lengths, padded on the left, cut into pieces."""
    images = [page.resize((160 + 32 * n, 160 - 32 * n)) for n, page in enumerate(symbol_pages[:4])]
    queries = ["amber", "birch and cedar", "delta ember fjord grove", "heron"]
    batch = [retriever.preprocess(queries), retriever.preprocess(images), retriever.preprocess(images[::-1])]
    labels = torch.tensor([[1, 4, 1, 2], [2, 3, 2, -1], [3, 2, 3, -1], [4, 1, 4, -1]])
    whole = partial(gradients, retriever, batch, labels, {"temperature": 0.1})
    loss, expected = whole()
    cached_loss, found = whole(mini_batch_size=mini_batch_size)
    torch.testing.assert_close(cached_loss, loss, atol=1e-6, rtol=1e-5)
    assert found.keys() == expected.keys() and any("visual" in name for name in found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4, msg=name)
