"""Fewer vectors of a page: those of neighbours in meaning become one, by sentence-transformers' own pooling.

Hierarchical clustering by Ward's linkage of cosine distances (Clavie et al., "Reducing the Footprint of Multi-Vector
Retrieval with Minimal Performance Impact via Token Pooling", 2024): a third of the vectors keeps 97.8 % of ColPali's
nDCG@5. A page is pooled by itself, on the CPU, so the result does not depend on what else is encoded.
"""

from __future__ import annotations

import numpy as np

from drag_rl.retrieval.late.embedder import Vectors


def pooled(vectors_VE: Vectors, factor: int) -> Vectors:
    """``max(V // factor, 1)`` vectors of length 1, the means of clusters; all as they are where ``factor`` is 1."""
    if factor == 1 or len(vectors_VE) < 2:
        return vectors_VE
    import torch
    from sentence_transformers.multi_vector_encoder.modules.token_pooling import HierarchicalTokenPooling

    pooling = HierarchicalTokenPooling(pool_factor=factor, num_protected_tokens=0)
    with torch.inference_mode():
        means = pooling.pool_one(torch.from_numpy(np.ascontiguousarray(vectors_VE)))
    found: Vectors = means.numpy()
    return found
