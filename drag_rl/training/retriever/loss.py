"""The loss of late interaction: scores by MaxSim, over the pages of all ranks, one of the objectives.

sentence-transformers gives the model, the scorer, the gathering and the gradient cache (Gao et al., 2021), so that
thousands of pages may be one batch. Its own losses know InfoNCE from questions to pages only. Here are added: the other
direction, the pairwise and hard-negative objectives, and pairs that do not count, such as another gold page.

Shape letters: B questions of this rank, R ranks, N pages of each question (gold and mined), Q = R B questions and
D = R B N pages of all ranks, G gold pages of a question.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.losses import CachedMultiVectorMultipleNegativesRankingLoss
from sentence_transformers.multi_vector_encoder.scoring import colbert_scores, mean_colbert_scores
from sentence_transformers.util import (
    all_gather,
    all_gather_padded,
    cat_padded_token_embeddings,
    get_rank,
    stack_padded_token_embeddings,
)
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from drag_rl.training.retriever.objectives import hard_negatives, info_nce, pairwise, with_doubtful_less
from drag_rl.training.retriever.options import LossOptions

SCORED_AT_A_TIME = 16
"""Questions whose token similarities with all pages are in memory at a time."""

Features = dict[str, Any]
"""One column of a batch, as sentence-transformers' collator makes it."""


class LateInteractionLoss(CachedMultiVectorMultipleNegativesRankingLoss):  # type: ignore[misc]
    """Columns of a batch: the question, its gold page, its mined pages. See ``examples.py`` for the labels."""

    def __init__(
        self,
        model: MultiVectorEncoder,
        options: LossOptions,
        *,
        mini_batch_size: int = 0,
        gather: bool = False,
    ) -> None:
        """Set the loss up.

        Args:
            model: The encoder that is trained.
            options: What is minimised.
            mini_batch_size: Rows that go through the model at a time; 0: all, without a gradient cache.
            gather: Whether the pages of all ranks are each question's negatives.
        """
        super().__init__(
            model,
            similarity_fct=mean_colbert_scores if options.mean_scores else colbert_scores,
            mini_batch_size=mini_batch_size or 1,
            score_mini_batch_size=SCORED_AT_A_TIME,
            gather_across_devices=gather,
        )
        self.options = options
        self.cached = mini_batch_size > 0
        self._labels: Tensor | None = None

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch; ``labels`` have shape (B, N + G), None where every other pair counts."""
        self._labels = labels  # the library's forward hands none to calculate_loss
        if self.cached:
            loss: Tensor = super().forward(sentence_features)
            return loss
        columns = []
        for position, column in enumerate(sentence_features):
            features = {"task": "document" if position else "query", **column}
            outputs = self.model(features, task=features["task"])
            columns.append(([outputs["token_embeddings"]], [outputs["attention_mask"].bool()]))
        return self.calculate_loss([vectors for vectors, _ in columns], [masks for _, masks in columns])

    def calculate_loss(
        self, reps: list[list[Tensor]], masks_chunks: list[list[Tensor]], *, with_backward: bool = False
    ) -> Tensor:
        """The loss of the vectors and masks of each column, given in chunks of rows.

        ``with_backward`` leaves its gradients at the vectors and returns it without a graph.
        """
        columns = [cat_padded_token_embeddings(*chunks) for chunks in zip(reps, masks_chunks, strict=True)]
        (queries, query_mask), *pages = columns
        if self.gather_across_devices:
            pages = [all_gather_padded(vectors, mask, with_grad=True) for vectors, mask in pages]
        loss = self._objective(
            self._scores(queries, query_mask, pages), questions=len(queries), pages=len(columns) - 1
        )
        if with_backward:
            loss.backward()
            return loss.detach()
        return loss

    def _scores(self, queries: Tensor, query_mask: Tensor, pages: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Scores of this rank's questions with the pages of all ranks, shape (B, D).

        Page n of question q of all ranks is column ``q N + n``. Similarities of tokens are made again for the backward
        pass: they would be the largest thing in memory.
        """
        stacked, mask = stack_padded_token_embeddings(*map(list, zip(*pages, strict=True)))
        step = self.score_mini_batch_size
        rows = [
            checkpoint(
                self.similarity_fct,
                queries[begin : begin + step],
                stacked,
                queries_mask=query_mask[begin : begin + step],
                documents_mask=mask,
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for begin in range(0, len(queries), step)
        ]
        return torch.cat(rows)

    def _objective(self, scores_BD: Tensor, *, questions: int, pages: int) -> Tensor:
        options, first = self.options, get_rank() * questions if self.gather_across_devices else 0
        own_B = (first + torch.arange(questions, device=scores_BD.device)) * pages
        scores_BD = scores_BD.masked_fill(self._left_out(own_B, pages), float("-inf"))
        if options.doubtful_share:
            scores_BD = with_doubtful_less(scores_BD, own_B, options.doubtful_share, options.doubtful_factor)
        if options.name == "hard-negative":
            mined = own_B[:, None] + torch.arange(1, pages, device=own_B.device)
            mined_BN = scores_BD.gather(1, mined)
            gold_B = scores_BD.gather(1, own_B[:, None])[:, 0]
            own = hard_negatives(mined_BN, gold_B, options.temperature)
            batch = info_nce(scores_BD[:, ::pages], own_B // pages, options.temperature)
            return (1 - options.in_batch_weight) * own + options.in_batch_weight * batch
        objective = info_nce if options.name == "infonce" else pairwise
        loss = objective(scores_BD, own_B, options.temperature)
        if options.both_directions:
            scores_QD = all_gather(scores_BD, with_grad=True) if self.gather_across_devices else scores_BD
            back = objective(scores_QD[:, own_B].T, own_B // pages, options.temperature)
            loss = (loss + back) / 2
        return loss

    def _left_out(self, own_B: Tensor, pages: int) -> Tensor:
        """Pairs that do not count: other gold pages of a question; shape (B, D), or (B, 1) without labels."""
        if self._labels is None:
            return torch.zeros(len(own_B), 1, dtype=torch.bool, device=own_B.device)
        shown_BN, gold_BG = self._labels[:, :pages].contiguous(), self._labels[:, pages:]
        shown_D = (all_gather(shown_BN) if self.gather_across_devices else shown_BN).flatten()
        left_out = (shown_D[None, :, None] == gold_BG[:, None, :]).any(dim=2)
        return left_out.scatter(1, own_B[:, None], value=False)
