"""How well the encoder finds the pages of validation questions, while it is trained.

sentence-transformers' evaluator knows neither grades of pages nor ranks below its cutoff; the measures here are those
of ``drag evaluate``, from the exact rank of every gold page among the pages ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder
from torch import Tensor

from drag_rl.metrics.ranked import ranked_metrics
from drag_rl.training.retriever.examples import Pages, can_be_shown
from drag_rl.training.retriever.options import EvaluationOptions
from drag_rl.training.retriever.scoring import score_pages, some_pages
from drag_rl.types import Question

MEASURES = ("mrr", "recall@1", "recall@5", "recall@10", "ndcg@5")
"""The last one says which model is best."""


class RetrievalEvaluator(BaseEvaluator):  # type: ignore[misc]
    """Ranks pages for validation questions by MaxSim."""

    def __init__(
        self, questions: Sequence[Question], pages: Pages, options: EvaluationOptions, *, seed: int
    ) -> None:
        """Choose what is asked and what is ranked: the same at each evaluation."""
        super().__init__()
        self.primary_metric = MEASURES[-1]
        self.questions = [*questions][: options.questions]
        gold = [page_id for question in self.questions for page_id in question.gold_page_ids]
        chosen = some_pages(gold, [*pages.texts], options.pages, seed)
        self.page_ids = [page_id for page_id in chosen if can_be_shown(pages.images, page_id)]
        self._load = pages.images.load
        self._batch_size = options.batch_size

    def __call__(
        self,
        model: MultiVectorEncoder,
        output_path: str | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """The mean of each measure over the questions; nothing is written."""
        del output_path, epoch, steps
        texts = [question.text for question in self.questions]
        scores = score_pages(model, texts, self.page_ids, self._load, batch_size=self._batch_size)
        columns = {page_id: column for column, page_id in enumerate(self.page_ids)}
        ranks = [
            gold_ranks(row, columns, question) for row, question in zip(scores, self.questions, strict=True)
        ]
        rows = ranked_metrics(ranks, [question.grades for question in self.questions])
        return {name: fmean(row[name] for row in rows) for name in MEASURES}


def gold_ranks(scores: Tensor, columns: Mapping[str, int], question: Question) -> tuple[int, ...]:
    """The 1-based rank of each gold page by a row of scores; of equals, the first in page order is ahead."""
    order = torch.argsort(scores, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(order) + 1)
    return tuple(int(rank[columns[page_id]]) for page_id in question.gold_page_ids)
