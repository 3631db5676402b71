"""A retriever model to a folder: one checkpoint for transformers, vLLM, colpali-engine and sentence-transformers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import MultiVectorEncoder

from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import write_manifest
from drag_rl.models.folder import folder_fingerprint

STAGE = "drag_rl.retrieval.late"


def save_encoder(encoder: MultiVectorEncoder, folder: Path, *, merge: bool = False) -> None:
    """Write an encoder that :func:`~drag_rl.retrieval.late.loading.load_encoder` loads again, to the bit.

    A model is written with its processor, in the type that it has in memory. Of one with an adapter only the adapter
    is written, unless ``merge`` folds it into the weights, in ``encoder`` too.

    Raises ``InputError`` if ``folder`` holds something else than an earlier such model, and for weights in 4 bits,
    which are not what was trained: save their adapter, and merge it into the model as it was.
    """
    started = time.monotonic()
    if merge:
        fold_adapter(encoder)
    with new_folder(folder, STAGE) as fresh:
        encoder.save_pretrained(str(fresh), create_model_card=False)
        write_manifest(
            fresh,
            stage=STAGE,
            fingerprint=folder_fingerprint(fresh),
            inputs={},
            config={"merged": merge},
            seconds=time.monotonic() - started,
            packages=("peft", "sentence-transformers", "torch", "transformers"),
        )


def save_weights(module: Any, folder: str) -> None:
    """Write the model of a ``ColQwen3Module``, or the adapter that it has, and the processor."""
    from peft import PeftModel

    if isinstance(module.model, PeftModel):
        module.model.save_pretrained(folder, save_embedding_layers=False)
    else:
        _refuse_4bit(module.model)
        # By the model's own names, whatever those of the checkpoint were that it was loaded from.
        module.model.save_pretrained(folder, save_original_format=False)
    module.pages.save(folder)


def fold_adapter(encoder: MultiVectorEncoder) -> None:
    """Add the adapter of an encoder to its weights. Raises ``InputError`` for weights in 4 bits."""
    from peft import PeftModel

    module = encoder[0]
    if isinstance(module.model, PeftModel):
        _refuse_4bit(module.model.get_base_model())
        with torch.no_grad():
            module.model = module.model.merge_and_unload()


def _refuse_4bit(model: Any) -> None:
    if getattr(model, "is_loaded_in_4bit", False):
        raise InputError("a model in 4 bits cannot be saved or merged; load it without --load-in-4bit")
