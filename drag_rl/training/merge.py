"""Merge a LoRA adapter into its base model, which gives one model for any server and for the next training."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.folders import claim_folder, new_folder
from drag_rl.files.manifest import sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.models.folder import folder_fingerprint

STAGE = "merge"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def merge_adapter(adapter: Path, out: Path, base: str | None = None) -> Path:
    """Write base model + adapter as a model folder, with the base's processor; returns ``out``.

    The adapter is a policy's, or a retriever's: that has the weights of a projection, too. Weights are added in float32
    and stored in the base's own type.

    Args:
        adapter: A PEFT adapter: ``adapter_config.json`` and ``adapter_model.safetensors``.
        out: The folder to write; an earlier merge's is replaced when the new one is whole.
        base: Path or hub id of the base model; None takes what the adapter names.

    Raises:
        InputError: The adapter is incomplete, or does not fit the base model; or ``out`` holds something else.
    """
    started = time.monotonic()
    config = _adapter_config(adapter)
    base = base or config.get("base_model_name_or_path")
    if not base:
        raise InputError(f"{adapter}: names no base model; give one with --base")
    refuse_overlap({"--output-path": out}, {"--adapter-path": adapter, "--base": Path(base)})
    claim_folder(out, STAGE, "--output-path")

    from drag_rl.retrieval.late.model_files import projection_width

    merged = _merged_retriever if projection_width(adapter) else _merged_policy
    write = merged(base, adapter)
    weights = sha256_file(adapter / ADAPTER_FILES[1])
    with new_folder(out, STAGE, "--output-path") as work:
        write(work)
        write_manifest(
            work,
            stage=STAGE,
            fingerprint=folder_fingerprint(work),
            inputs={"adapter": weights},
            config={"adapter": str(adapter), "base": base},
            seconds=time.monotonic() - started,
            packages=("peft", "torch", "transformers"),
        )
    return out


def _merged_policy(base: str, adapter: Path) -> Callable[[Path], None]:
    """Merges, and returns what writes the model and the base's processor to a folder."""
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

    try:
        stored = AutoConfig.from_pretrained(base)
        loader = AutoModelForImageTextToText if hasattr(stored, "vision_config") else AutoModelForCausalLM
        model = loader.from_pretrained(base, dtype=torch.float32)
        processor = AutoProcessor.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise InputError(f"base model {base}: cannot be loaded: {_line(error)}") from None
    try:
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{adapter}: does not fit base model {base}: {_line(error)}") from None
    merged = merged.to(stored.dtype or torch.bfloat16)

    def write(folder: Path) -> None:
        merged.save_pretrained(folder)
        processor.save_pretrained(folder)

    return write


def _merged_retriever(base: str, adapter: Path) -> Callable[[Path], None]:
    """Merges, and returns what writes the encoder with its processor to a folder."""
    import torch
    from transformers import AutoConfig

    from drag_rl.retrieval.dense.model_files import model_folder
    from drag_rl.retrieval.late.embedder import MultiVectorSettings
    from drag_rl.retrieval.late.loading import load_encoder
    from drag_rl.retrieval.late.saving import fold_adapter

    stored = AutoConfig.from_pretrained(model_folder(base)).dtype
    encoder = load_encoder(
        MultiVectorSettings(model=base, adapter=str(adapter), device="cpu", dtype="float32")
    )
    fold_adapter(encoder)
    encoder.to(stored or torch.bfloat16)
    return lambda folder: encoder.save_pretrained(str(folder), create_model_card=False)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _adapter_config(adapter: Path) -> dict[str, str]:
    for name in ADAPTER_FILES:
        if not (adapter / name).is_file():
            raise InputError(f"--adapter-path {adapter}: has no {name}; give RUN/adapter of a training")
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{adapter}/adapter_config.json: is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"{adapter}/adapter_config.json: is not a JSON object")
    return config
