"""A PEFT adapter of a retriever model: LoRA of the language layers and, whole, the projection."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from drag_rl.errors import InputError
from drag_rl.retrieval.late.checkpoint import refuse_other_weights, weight_shapes
from drag_rl.retrieval.late.model import ColQwen3

ADAPTER_CONFIG = "adapter_config.json"


def adapter_folder(adapter: str, option: str = "--adapter") -> Path:
    """The folder of an adapter: the one that is named, or that of a hub id, downloaded if need be.

    Raises ``InputError`` if there is none.
    """
    folder = Path(adapter)
    if not folder.is_dir():
        import huggingface_hub

        try:
            folder = Path(huggingface_hub.snapshot_download(adapter, allow_patterns=["adapter_*"]))
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())[:200]
            raise InputError(
                f"{option} {adapter}: is no folder here, and the hub does not give it: {why}"
            ) from error
    for name in (ADAPTER_CONFIG, "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise InputError(f"{option} {adapter}: has no {name}; give the folder of a PEFT adapter")
    return folder


def base_of(adapter: Path) -> str:
    """The base model that an adapter names. Raises ``InputError`` if it names none."""
    try:
        base = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{adapter}/{ADAPTER_CONFIG}: cannot be read: {error}") from error
    if not base or not isinstance(base, str):
        raise InputError(f"{adapter}: names no base model; give it with --model, and this with --adapter")
    return base


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
