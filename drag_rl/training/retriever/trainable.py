"""The seam of what can be trained: a kind of model loads, says which of its weights learn, and saves what they became.

Whatever the kind, the trainer meets a ``MultiVectorEncoder`` of sentence-transformers: queries and page images in,
vectors with gradients out. So losses, mined pages, evaluation, checkpoints and ranks know nothing of kinds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from drag_rl.models.reader.folder import READER, names_reader
from drag_rl.tables import Table
from drag_rl.training.retriever.options import RetrieverOptions
from drag_rl.training.retriever.task import Task

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder


class Trainable(Protocol):
    """A model of one kind, about to be trained."""

    apart: ClassVar[str]
    """Which weights learn at ``projection_learning_rate``: a regular expression that their names have."""

    def __init__(self, task: Task, options: RetrieverOptions) -> None:
        """Raises ``InputError`` for options that such a model cannot be trained by."""

    @property
    def result(self) -> str:
        """What the run's result is called: ``adapter`` or ``model``."""

    def load(self, device: str) -> MultiVectorEncoder:
        """The encoder to start from; raises ``InputError`` if it cannot be loaded."""

    def choose_weights(self, encoder: MultiVectorEncoder) -> None:
        """Say of each weight whether it learns. What is drawn anew is drawn by torch's generator."""

    def save(self, encoder: MultiVectorEncoder, folder: Path) -> None:
        """Write what ``drag index --kind late`` opens. Raises ``InputError`` for a folder of something else."""


COLQWEN3 = "colqwen3"
TRAINABLE: Table[type[Trainable]] = Table(
    "kind of retriever",
    {
        COLQWEN3: "drag_rl.training.retriever.colqwen3:TrainableColQwen3",
        READER: "drag_rl.training.retriever.reader:TrainableReader",
    },
)


def kind_of(model: str) -> str:
    """The kind of ``--model``.

    >>> kind_of("reader"), kind_of("Qwen/Qwen3-VL-4B-Instruct")
    ('reader', 'colqwen3')
    """
    return READER if names_reader(model) else COLQWEN3
