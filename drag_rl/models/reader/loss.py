"""What a reader is trained on: a cell is like the words that are printed in it, and unlike all others.

InfoNCE in both directions (arXiv:1807.03748; CLIP, arXiv:2103.00020), and from the patches of a lower block which
letter stands where: a word teaches little to a tower that has not yet told letters apart.

Shape letters: N cells of a batch, W words, O words as they are printed, P patches, H numbers of a patch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from drag_rl.models.reader.crops import SLOT_HEIGHT, SLOT_WIDTH
from drag_rl.models.reader.pages import KINDS
from drag_rl.models.reader.tower import PATCH, PATCHES

FIRST_SCALE = 14.0
LARGEST_SCALE = 50.0
"""Of similarities, which are cosines: one over the temperature."""
MASKED = -1e4
USUAL = 1e-4
"""Share of all printed words from which on a word weighs less, as its square root: the articles are learnt anyway."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Which cells answer to which words."""

    cells: Tensor
    """The cell with the middle of each printed word (O,)."""
    words: Tensor
    """Its row among the W words (O,)."""
    covered: Tensor
    """Whether a word covers a cell, shape (N, W)."""
    weights: Tensor
    """Of the W words (W,)."""


class WordLoss(nn.Module):  # type: ignore[misc]
    """InfoNCE over the words and cells of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def forward(self, cells_NE: Tensor, words_WE: Tensor, labels: Labels) -> Tensor:
        """The mean of both directions' losses in nats; all vectors are of length 1.

        A cell that is asked for one of its words is not blamed for the others. A word that is asked for its cell may
        answer with any that it covers.
        """
        scale = self.log_scale.exp().clamp(max=LARGEST_SCALE)
        similar_NW = cells_NE @ words_WE.T * scale
        rows = torch.arange(len(labels.cells), device=similar_NW.device)
        asked_OW = similar_NW[labels.cells].masked_fill(labels.covered[labels.cells], MASKED)
        asked_OW[rows, labels.words] = similar_NW[labels.cells, labels.words]
        weights_O = labels.weights[labels.words]
        reading = functional.cross_entropy(asked_OW, labels.words, reduction="none")
        printed = labels.words.unique()
        all_W = similar_NW[:, printed].logsumexp(dim=0)
        own_W = similar_NW[:, printed].masked_fill(~labels.covered[:, printed], MASKED).logsumexp(dim=0)
        weights_W = labels.weights[printed]
        finding = all_W - own_W
        return (reading @ weights_O) / weights_O.sum() + (finding @ weights_W) / weights_W.sum()


def signs(vectors_VE: Tensor) -> Tensor:
    """Vectors as their bits stand for them: signs, of length 1; gradients pass as if nothing had been rounded.

    (Straight-through estimator, arXiv:1308.3432.)
    """
    rounded = torch.where(vectors_VE < 0, -1.0, 1.0) / math.sqrt(vectors_VE.shape[-1])
    return vectors_VE + (rounded - vectors_VE).detach()


def rounding(vectors_VE: Tensor) -> Tensor:
    """How far vectors of length 1 are from their signs: the mean of 1 - cosine; .2 for random ones, 0 for signs."""
    return 1 - vectors_VE.abs().sum(dim=-1).mean() / math.sqrt(vectors_VE.shape[-1])


class LetterLoss(nn.Module):  # type: ignore[misc]
    """Which letter stands in each slot of a patch; a head for training alone."""

    SLOTS = (PATCH // SLOT_HEIGHT) * (PATCH // SLOT_WIDTH)
    BLANK_WEIGHT = 0.2
    """Most slots are empty."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, self.SLOTS * KINDS)
        weights = torch.ones(KINDS)
        weights[0] = self.BLANK_WEIGHT
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, patches_BPH: Tensor, letters: Tensor, order: Tensor) -> Tensor:
        """Cross-entropy in nats; ``letters`` as a batch has them, ``order`` as the tower has its patches."""
        guesses = self.head(self.norm(patches_BPH)).float()
        return functional.cross_entropy(
            guesses.view(-1, KINDS), by_patch(letters)[:, order].flatten(), self.weights
        )


def by_patch(letters: Tensor) -> Tensor:
    """The slots of each patch, patches row by row, shape (B, P, slots of a patch)."""
    tall, wide = PATCH // SLOT_HEIGHT, PATCH // SLOT_WIDTH
    cut = letters.view(-1, PATCHES, tall, PATCHES, wide).transpose(2, 3)
    return cut.reshape(-1, PATCHES**2, tall * wide)
