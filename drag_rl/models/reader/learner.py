"""One step of a reader's training, its optimizers, and how well it reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drag_rl.models.reader.crops import Batch
from drag_rl.models.reader.loss import USUAL, Labels, LetterLoss, WordLoss, rounding, signs
from drag_rl.models.reader.model import Reader
from drag_rl.models.reader.page_store import PageStore
from drag_rl.models.reader.words import WordBuckets

TABLE_RATE = 5.0
"""The words' table learns so many times as fast as the tower: each step moves few of its rows."""
WEIGHT_DECAY = 0.05
ROUNDING = 4.0
"""Weight of the distance to signs within the bits' loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerSettings:
    """How a reader is trained."""

    rate: float = 2e-3
    """AdamW's learning rate; Muon's is scaled to move weights as much."""
    others: int = 1024
    """Words of the vocabulary that a cell has to tell from its own, beside those of the batch."""
    letters: float = 4.0
    """Weight of the letters' loss."""
    bits: float = 1.0
    """Weight of the words' loss by the signs of vectors alone, which a first look of a late index goes by."""
    tap: int = 2
    """Blocks after which letters are read."""
    muon: bool = True
    """Whether Muon moves the blocks' matrices, and not AdamW."""


class Learner(nn.Module):  # type: ignore[misc]
    """A reader, the heads that only training needs, and the optimizers."""

    def __init__(self, reader: Reader, store: PageStore, settings: LearnerSettings, device: str) -> None:
        super().__init__()
        self.reader = reader
        self.word_loss = WordLoss()
        self.letter_loss = LetterLoss(reader.config.hidden_size)
        self.to(device)
        self._settings = settings
        self._device = torch.device(device)
        self._buckets = WordBuckets(store.vocabulary)
        shares = store.frequencies
        self._weights = torch.from_numpy(np.sqrt(USUAL / np.maximum(shares, USUAL))).float()
        self.optimizers = self._optimizers()

    def _optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        settings = self._settings
        tower = self.reader.eye.tower
        inner = [weight for weight in tower.blocks.parameters() if weight.ndim == 2] if settings.muon else []
        taken = {id(weight) for weight in inner}
        table = list(self.reader.words.parameters())
        rest = [
            weight for weight in self.parameters() if id(weight) not in taken | {id(own) for own in table}
        ]
        groups = [
            {"params": [weight for weight in rest if weight.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [weight for weight in rest if weight.ndim < 2], "weight_decay": 0.0},
            {"params": table, "weight_decay": 0.0, "lr": settings.rate * TABLE_RATE},
        ]
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98), fused=True)
        ]
        if inner:
            optimizers.append(
                torch.optim.Muon(
                    inner, lr=settings.rate, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
                )
            )
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["full"] = group["lr"]
        return tuple(optimizers)

    def step(self, batch: Batch, number: int, share: float) -> float:
        """Learn from a batch at a share of the full learning rate; returns the loss of words."""
        self.train()
        cells_NE, words_WE, labels, patches = self._seen(batch, number, self._settings.others)
        words = self.word_loss(cells_NE, words_WE, labels)
        bits = self.word_loss(signs(cells_NE), signs(words_WE), labels)
        bits = bits + ROUNDING * (rounding(cells_NE[labels.cells]) + rounding(words_WE))
        letters = torch.from_numpy(batch.letters).to(self._device)
        spelt = self.letter_loss(patches.float(), letters, self.reader.eye.order)
        loss = words + self._settings.bits * bits + self._settings.letters * spelt
        loss.backward()
        nn.utils.clip_grad_norm_(self.reader.eye.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full"] * share
            optimizer.step()
            optimizer.zero_grad()
        return float(words.detach())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def reads(self, batch: Batch, number: int) -> tuple[float, float]:
        """How many words of a batch are read, and found, as shares.

        Read: the cell with the middle of a word is liker to it than to the batch's others and 1,024 more. Found: of all
        cells of the batch, the likest to a word is one that it covers. Words that are usual weigh less.
        """
        self.eval()
        cells_NE, words_WE, labels, _ = self._seen(batch, number, 1024)
        similar_NW = cells_NE @ words_WE.T
        weights_O = labels.weights[labels.words]
        own_OW = labels.covered[labels.cells]
        own_OW[torch.arange(len(own_OW)), labels.words] = False
        read_O = similar_NW[labels.cells].masked_fill(own_OW, -2).argmax(dim=1) == labels.words
        found_O = labels.covered[similar_NW.argmax(dim=0)[labels.words], labels.words]
        total = weights_O.sum()
        return float(read_O.float() @ weights_O / total), float(found_O.float() @ weights_O / total)

    def _seen(self, batch: Batch, number: int, others: int) -> tuple[Tensor, Tensor, Labels, Tensor]:
        """Vectors of cells and words of a batch, in float32, its labels, and patches."""
        device = self._device
        tiles = torch.from_numpy(batch.tiles).to(device).float() / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16):
            cells, patches = self.reader.eye(tiles, self._settings.tap)
        cells_NE = functional.normalize(cells.float().flatten(0, 1), dim=-1)
        printed, rows = np.unique(batch.words, return_inverse=True)
        drawn = np.random.default_rng(number).integers(len(self._weights), size=others)
        numbers = np.concatenate([printed, np.setdiff1d(drawn, printed)])
        words_WE = self.reader.words(*(part.to(device) for part in self._buckets.of(numbers)))
        rows_O = torch.from_numpy(rows).to(device)
        cells_O = torch.from_numpy(batch.cells).to(device)
        covered = torch.zeros(len(cells_NE), len(numbers), dtype=torch.bool, device=device)
        covered[torch.from_numpy(batch.covered).to(device), rows_O[torch.from_numpy(batch.covering)]] = True
        covered[cells_O, rows_O] = True
        weights_W = self._weights[torch.from_numpy(numbers)].to(device)
        labels = Labels(cells=cells_O, words=rows_O, covered=covered, weights=weights_W)
        return cells_NE, words_WE, labels, patches
