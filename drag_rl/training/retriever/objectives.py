"""What is minimised, given the scores of questions with pages.

Shape letters: Q queries, D pages, N mined pages of each query. ``-inf`` marks a pair that does not count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor


def info_nce(scores_QD: Tensor, gold_Q: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of each query's gold page among all pages: ``-log softmax(scores / temperature)[gold]``, the mean.

    (van den Oord et al., 2018; with MaxSim scores ColPali's ``ColbertLoss``.)

    Args:
        scores_QD: Scores, higher is better.
        gold_Q: The column of each query's gold page.
        temperature: Scores are divided by it.
    """
    return F.cross_entropy(scores_QD / temperature, gold_Q)


def pairwise(scores_QD: Tensor, gold_Q: Tensor, temperature: float) -> Tensor:
    """``softplus((hardest - gold) / temperature)``, the mean; the hardest is the best-scored other page.

    ColPali's pairwise loss (Faysse et al., 2024, equation 2). A query without another page adds 0.
    """
    gold = scores_QD.gather(1, gold_Q[:, None])
    hardest = scores_QD.scatter(1, gold_Q[:, None], float("-inf")).amax(dim=1, keepdim=True)
    return F.softplus((hardest - gold) / temperature).mean()


def hard_negatives(mined_QN: Tensor, gold_scores_Q: Tensor, temperature: float) -> Tensor:
    """``softplus((mined - gold) / temperature)`` over each query's own mined pages, the mean of all pairs.

    The first part of ColPali's ``ColbertNegativeCELoss``.
    """
    return F.softplus((mined_QN - gold_scores_Q[:, None]) / temperature).mean()


def with_doubtful_less(scores_QD: Tensor, gold_Q: Tensor, share: float, factor: float) -> Tensor:
    """The scores, those of other pages above ``share`` times the gold page's multiplied by ``factor``.

    ColPali's positive-aware filter; whether a score is above is not learnt from.
    """
    gold = scores_QD.gather(1, gold_Q[:, None])
    doubtful = scores_QD > share * gold
    doubtful.scatter_(1, gold_Q[:, None], value=False)
    return torch.where(doubtful, scores_QD * factor, scores_QD)
