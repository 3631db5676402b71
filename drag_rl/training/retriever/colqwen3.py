"""ColQwen3 as a model to train: by an adapter of the language layers and the whole projection, or with all weights."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sentence_transformers import MultiVectorEncoder

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.encoder import ColQwen3Module
from drag_rl.retrieval.late.loading import load_encoder
from drag_rl.retrieval.late.model_files import PROJECTION
from drag_rl.retrieval.late.saving import save_encoder
from drag_rl.training.retriever.lora import choose_weights
from drag_rl.training.retriever.options import RetrieverOptions
from drag_rl.training.retriever.task import Task


class TrainableColQwen3:
    """A Qwen3-VL, with or without a projection and an adapter. See :class:`.trainable.Trainable`."""

    apart: ClassVar[str] = rf"\.{PROJECTION}\."

    def __init__(self, task: Task, options: RetrieverOptions) -> None:
        """Any options will do: those that contradict each other have been refused."""
        self._task = task
        self._options = options
        self._adapts = bool(options.lora.r or task.adapter)

    @property
    def result(self) -> str:
        """An adapter, where there is one."""
        return "adapter" if self._adapts else "model"

    def load(self, device: str) -> MultiVectorEncoder:
        """The model under its adapter; a base model gets a projection, drawn by the seed."""
        options = self._options
        encoder = load_encoder(
            MultiVectorSettings(
                model=self._task.model,
                adapter=self._task.adapter,
                max_visual_tokens=options.max_visual_tokens,
                device=device,
                dtype="bfloat16" if options.bf16 and self._adapts else "float32",
                attention=options.attention,
                load_in_4bit=options.load_in_4bit,
            ),
            trainable=True,
            projection_seed=options.seed,
        )
        if not isinstance(encoder[0], ColQwen3Module):
            raise InputError(
                f"--model {self._task.model}: is neither a reader nor a Qwen3-VL with or without a projection, which "
                "alone are trained"
            )
        return encoder

    def choose_weights(self, encoder: MultiVectorEncoder) -> None:
        """See ``lora.py``."""
        choose_weights(encoder, self._options)

    def save(self, encoder: MultiVectorEncoder, folder: Path) -> None:
        """The adapter alone, or the model with its processor."""
        save_encoder(encoder, folder)
