"""A PEFT adapter of a retriever model: LoRA of the language layers and, whole, the projection."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from drag_rl.errors import InputError
from drag_rl.retrieval.late.checkpoint import refuse_other_weights
from drag_rl.retrieval.late.model import ColQwen3
from drag_rl.retrieval.late.model_files import weight_shapes


def with_adapter(model: ColQwen3, adapter: Path, *, trainable: bool = False) -> Any:
    """The model with the adapter on it, a ``PeftModel``.

    Raises ``InputError``, with the weight's name, if the adapter lacks one, or has one that has no place in the model.
    """
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with warnings.catch_warnings():  # what PEFT warns of is refused below
            warnings.simplefilter("ignore")
            adapted = PeftModel.from_pretrained(
                model, str(adapter), is_trainable=trainable, autocast_adapter_dtype=trainable
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"--adapter {adapter}: does not fit the model: {why}") from error
    stored = set(weight_shapes(adapter))
    needed = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    refuse_other_weights(f"--adapter {adapter}", missing=needed - stored, unexpected=stored - needed)
    return adapted if trainable else adapted.eval()
