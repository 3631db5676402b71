"""Weights of ColQwen3 from a folder: all of them, no other ones, in their shapes; anything else is an ``InputError``.

Transformers draws a missing weight at random and drops one that it does not know, with a warning; the model still ranks
pages, only worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import BitsAndBytesConfig, Qwen3VLConfig
from transformers.utils import logging

from drag_rl.errors import InputError
from drag_rl.retrieval.late.model import ColQwen3
from drag_rl.retrieval.late.model_files import (
    PROJECTION,
    PROJECTION_WEIGHT,
    check_type,
    projection_width,
    vector_width,
)

_HEAD = "lm_head.weight"
"""Of a base model; a retriever has none."""
_DIM_KEYS = ("dim", "dims", "embed_dim", "projection_dim", "colbert_dim")
"""What configurations call the numbers of a vector."""


def load_checkpoint(
    folder: Path,
    *,
    dtype: torch.dtype | str = "auto",
    device: str = "cpu",
    attention: str = "sdpa",
    load_in_4bit: bool = False,
    new_projection: int = 0,
) -> ColQwen3:
    """The model of a folder.

    Args:
        folder: ``config.json`` of ``model_type`` ``qwen3_vl``, and weights in safetensors.
        dtype: What it computes in; ``"auto"`` is what the weights are stored in.
        device: Where it runs.
        attention: ``sdpa``, ``flash_attention_2`` or ``eager``.
        load_in_4bit: NF4 for the language layers; the projection and the vision tower stay as they are.
        new_projection: If not 0, a base model without a projection gets one of so many numbers, at random, for an
            adapter or a seed to fill.

    Raises:
        InputError: The folder holds no such model, or a weight is missing, unexpected or of another shape, by name.
    """
    config = read_config(folder)
    config.dim = vector_width(folder, new_projection)
    options: dict[str, Any] = {}
    if load_in_4bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=[PROJECTION, "visual"],
        )
    if load_in_4bit or device != "cpu":
        options["device_map"] = {"": device}
    try:
        with _no_report():
            model, found = ColQwen3.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                attn_implementation=attention,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                use_safetensors=True,
                local_files_only=True,
                **options,
            )
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, SafetensorError) as error:
        raise InputError(f"--model {folder}: cannot be loaded: {_line(error)}") from error
    missing = set(found["missing_keys"]) - ({PROJECTION_WEIGHT} if not projection_width(folder) else set())
    refuse_other_weights(
        f"--model {folder}",
        missing=missing,
        unexpected=set(found["unexpected_keys"]) - {_HEAD},
        misshaped={str(name): (tuple(has), tuple(needs)) for name, has, needs in found["mismatched_keys"]},
    )
    return model.eval()  # type: ignore[no-any-return]


def refuse_other_weights(
    what: str,
    *,
    missing: set[str],
    unexpected: set[str],
    misshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] | None = None,
) -> None:
    """Raise ``InputError`` that names a weight which is not as the model needs it, if there is one."""
    said = []
    if missing:
        said.append(f"{_named(missing)} missing")
    if unexpected:
        said.append(f"{_named(unexpected)} not of this model")
    for name, (has, needs) in list((misshaped or {}).items())[:1]:
        said.append(f"{name} has shape {has}, where {needs} is needed")
    if not said:
        return
    hint = ""
    if f"{PROJECTION}.bias" in unexpected:
        hint = "; a projection with a bias is not supported: vLLM would drop it without a word"
    raise InputError(f"{what}: its weights do not fit ColQwen3: {'; '.join(said)}{hint}")


def read_config(folder: Path) -> Qwen3VLConfig:
    """The configuration of a model's folder. Raises ``InputError`` if it is not that of a Qwen3-VL."""
    check_type(folder)
    try:
        config = Qwen3VLConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder}/config.json: {_line(error)}") from error
    for key in _DIM_KEYS[1:]:  # vLLM takes the first of them that it finds
        if hasattr(config, key):
            delattr(config, key)
    return config


@contextmanager
def _no_report() -> Iterator[None]:
    """Without transformers' bar, and without its table of missing weights, which we refuse anyway."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _named(names: set[str]) -> str:
    first, *others = sorted(names)
    return f"{first} (and {len(others)} more)" if others else first


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
