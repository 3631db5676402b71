"""A reader as a model to train: it is small, so all of its weights learn and no adapter is made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import torch
from sentence_transformers import MultiVectorEncoder

from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import write_manifest
from drag_rl.models.folder import folder_fingerprint
from drag_rl.models.reader.model import save_reader
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.reader_model import ReaderModel
from drag_rl.retrieval.late.saving import STAGE
from drag_rl.training.retriever.options import RetrieverOptions
from drag_rl.training.retriever.reader_module import ReaderEncoder, ReaderModule
from drag_rl.training.retriever.task import Task


class TrainableReader:
    """A reader's tower and its table of words. See :class:`.trainable.Trainable`."""

    apart: ClassVar[str] = r"\.reader\.words\."
    """The table of words."""

    def __init__(self, task: Task, options: RetrieverOptions) -> None:
        """Raises ``InputError`` for options of adapters and of language models, and where there is no reader."""
        if options.lora.r:
            raise InputError(
                f"lora.r={options.lora.r}: a reader is trained as a whole, without an adapter; set lora.r=0, as "
                "configs/retriever_reader.yaml does"
            )
        if options.attention != "auto":
            raise InputError(
                f"attention={options.attention}: a reader has attention of its own; leave it out"
            )
        self._options = options
        self._model = ReaderModel(
            MultiVectorSettings(
                model=task.model, adapter=task.adapter, max_visual_tokens=options.max_visual_tokens
            )
        )

    @property
    def result(self) -> str:
        """A whole reader."""
        return "model"

    def load(self, device: str) -> MultiVectorEncoder:
        """The reader in float32, computing in bfloat16 if it is to."""
        module = ReaderModule(
            self._model,
            max_visual_tokens=self._options.max_visual_tokens,
            dtype=torch.bfloat16 if self._options.bf16 else torch.float32,
        )
        return ReaderEncoder(modules=[module], device=device)

    def choose_weights(self, encoder: MultiVectorEncoder) -> None:
        """The words always learn, the tower where it is to."""
        reader = encoder[0].reader
        reader.requires_grad_(True)
        reader.eye.requires_grad_(self._options.train_vision_tower)

    def save(self, encoder: MultiVectorEncoder, folder: Path) -> None:
        """The folder of a reader, in float32, so that it gives the vectors that were measured."""
        started = time.monotonic()
        with new_folder(folder, STAGE) as fresh:
            save_reader(encoder[0].reader, fresh, torch.float32)
            write_manifest(
                fresh,
                stage=STAGE,
                fingerprint=folder_fingerprint(fresh),
                inputs={"reader": self._model.fingerprint},
                config={},
                seconds=time.monotonic() - started,
                packages=("sentence-transformers", "torch", "transformers"),
            )
