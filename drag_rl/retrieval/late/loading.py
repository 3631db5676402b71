"""A retriever model from a folder or a hub id, with its adapter, as an encoder of sentence-transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.util import get_device_name
from transformers import AutoProcessor
from transformers.utils import is_flash_attn_2_available

from drag_rl.errors import InputError
from drag_rl.retrieval.late.adapter import with_adapter
from drag_rl.retrieval.late.checkpoint import load_checkpoint, read_config
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.encoder import ColQwen3Module, new_encoder
from drag_rl.retrieval.late.model import draw_projection
from drag_rl.retrieval.late.model_files import (
    DEFAULT_DIM,
    base_of,
    is_adapter,
    is_foreign,
    model_and_adapter,
    projection_width,
)
from drag_rl.retrieval.late.processor import PageProcessor, limit_pixels


def load_encoder(
    settings: MultiVectorSettings, *, trainable: bool = False, projection_seed: int | None = None
) -> MultiVectorEncoder:
    """The encoder of these settings; ``encoder[0].model`` is the ``ColQwen3``, or the ``PeftModel`` around it.

    ``settings.model`` may be an adapter, too: its base is the one that it names. With ``trainable`` the adapter's
    weights take gradients; a model without one comes with all of its weights ready to train, so freeze what is to stay.
    A base model without a projection is refused, unless ``projection_seed`` is to draw one, to be trained.

    Raises ``InputError`` for a model that cannot be found or loaded, and for any weight that is missing or unexpected.
    """
    folder, adapter = model_and_adapter(settings, draws=projection_seed is not None)
    if is_foreign(folder):
        if adapter:
            raise InputError(f"--adapter {settings.adapter}: {settings.model} is no model of ours to adapt")
        return _foreign(folder, settings)
    module = load_module(settings, trainable=trainable, projection_seed=projection_seed)
    return new_encoder(module, _device(settings))


def load_module(
    settings: MultiVectorSettings, *, trainable: bool = False, projection_seed: int | None = None
) -> ColQwen3Module:
    """The encoder's own module; see :func:`load_encoder`."""
    folder, adapter = model_and_adapter(settings, draws=projection_seed is not None)
    device = _device(settings)
    dtype = _dtype(settings, device)
    pages = load_processor(folder, settings.max_visual_tokens)
    width = projection_width(adapter or folder)
    model: Any = load_checkpoint(
        folder,
        dtype=dtype,
        device=device,
        attention=_attention(settings, device, dtype),
        load_in_4bit=settings.load_in_4bit,
        new_projection=width if projection_seed is None else width or DEFAULT_DIM,
    )
    if projection_seed is not None and not width:
        draw_projection(model, projection_seed)
    # What an adapter that is trained on it will name as its base.
    base = base_of(adapter) if adapter and is_adapter(settings.model) else settings.model
    model.name_or_path = str(Path(base).resolve()) if Path(base).is_dir() else base
    if adapter:
        model = with_adapter(model, adapter, trainable=trainable)
    return ColQwen3Module(model, pages)


def load_stored_module(model: str) -> ColQwen3Module:
    """The module of a model or adapter on the CPU, in the type that the model is stored in, an adapter to train."""
    settings = MultiVectorSettings(model=model, device="cpu")
    stored = read_config(model_and_adapter(settings)[0]).dtype or torch.float32
    dtype = str(stored).removeprefix("torch.")
    return load_module(replace(settings, dtype=dtype), trainable=True)  # type: ignore[arg-type]


def load_processor(folder: Path, max_visual_tokens: int = 0) -> PageProcessor:
    """The processor of a model's folder. Raises ``InputError`` if it has none for images."""
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        return PageProcessor(processor, max_visual_tokens)
    except (OSError, ValueError, ImportError, AttributeError, KeyError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"--model {folder}: its processor cannot be loaded: {why}") from error


def _device(settings: MultiVectorSettings) -> str:
    return settings.device or str(get_device_name())


def _dtype(settings: MultiVectorSettings, device: str) -> torch.dtype:
    if settings.dtype == "auto":
        return torch.float32 if device.startswith("cpu") else torch.bfloat16
    return getattr(torch, settings.dtype)


def _attention(
    settings: MultiVectorSettings, device: str, dtype: torch.dtype
) -> Literal["sdpa", "flash_attention_2", "eager"]:
    if settings.attention != "auto":
        return settings.attention
    fast = device.startswith("cuda") and dtype != torch.float32 and is_flash_attn_2_available()
    return "flash_attention_2" if fast else "sdpa"


def _foreign(folder: Path, settings: MultiVectorSettings) -> MultiVectorEncoder:
    device = _device(settings)
    options: dict[str, Any] = {"dtype": _dtype(settings, device)}
    if settings.attention != "auto":
        options["attn_implementation"] = settings.attention
    if settings.load_in_4bit:
        raise InputError(f"--load-in-4bit: is for models of ours, not for {settings.model}")
    try:
        encoder = MultiVectorEncoder(
            str(folder),
            device=device,
            model_kwargs=options,
            trust_remote_code=settings.trust_remote_code,
            local_files_only=True,
        )
        limit_pixels(encoder.processor.image_processor, settings.max_visual_tokens)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError, TypeError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"--model {settings.model}: cannot be loaded: {why}") from error
    return encoder
