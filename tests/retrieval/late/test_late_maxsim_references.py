"""MaxSim of sentence-transformers and of colpali-engine are one score where nothing is padded."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st


def units(drawn: np.random.Generator, count: int) -> torch.Tensor:
    rows = drawn.normal(size=(count, 16)).astype(np.float32)
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_they_agree(seed: int, queries: int, pages: int, query_tokens: int, page_tokens: int) -> None:
    import colpali_lab  # noqa: F401
    from colpali_engine.utils.processing_utils import BaseVisualRetrieverProcessor
    from sentence_transformers.util.similarity import maxsim

    drawn = np.random.default_rng(seed)
    asked = [units(drawn, query_tokens) for _ in range(queries)]
    shown = [units(drawn, page_tokens) for _ in range(pages)]
    ours = maxsim(asked, shown)
    theirs = BaseVisualRetrieverProcessor.score_multi_vector(asked, shown, device="cpu")
    plain = [[float((query @ page.T).max(1).values.sum()) for page in shown] for query in asked]
    assert torch.allclose(ours, theirs, atol=1e-6) and torch.allclose(ours, torch.tensor(plain), atol=1e-5)


def test_colpali_engine_lets_padding_win_where_all_similarities_are_negative() -> None:
    """So pages of different sizes are scored by sentence-transformers' MaxSim, or by ours."""
    import colpali_lab  # noqa: F401
    from colpali_engine.utils.processing_utils import BaseVisualRetrieverProcessor
    from sentence_transformers.util.similarity import maxsim

    query, long = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    away = torch.tensor([[-1.0, 0.0]])
    assert maxsim([query], [away, long]).tolist() == [[-1.0, 0.0]]
    assert BaseVisualRetrieverProcessor.score_multi_vector([query], [away, long], device="cpu").tolist() == [
        [0, 0]
    ]
