"""The files of an embedding model on this machine, and what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined, file_fingerprint
from drag_rl.files.manifest import MANIFEST

OTHER_FORMATS = ("onnx/*", "openvino/*", "*.onnx", "*.msgpack", "*.h5", "*.ot", "*.gguf")
"""Weights that we do not load."""
_OF_THE_MODEL = {".json", ".safetensors", ".bin", ".model", ".txt", ".py"}


def model_folder(model: str) -> Path:
    """The folder of a model: the one that is named, or that of a hub id, downloaded if need be.

    Raises ``InputError`` if there is none.
    """
    if Path(model).is_dir():
        if not (Path(model) / "config.json").is_file() and not (Path(model) / "modules.json").is_file():
            raise InputError(f"--model {model}: has no config.json; give the folder of a model")
        return Path(model)
    try:
        import huggingface_hub
    except ImportError:
        raise InputError("--model: a hub id needs more packages: pip install 'drag-rl[retrieval]'") from None
    try:
        return Path(huggingface_hub.snapshot_download(model, ignore_patterns=list(OTHER_FORMATS)))
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"--model {model}: is no folder here, and the hub does not give it: {why}"
        ) from error


def model_fingerprint(folder: Path, **settings: Any) -> str:
    """Hex digest of a model's files, samples of large ones, and of ``settings`` that change its vectors."""
    files = {
        path.relative_to(folder).as_posix(): file_fingerprint(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix in _OF_THE_MODEL
        and path.name != MANIFEST  # what made the model, and when, does not change its vectors
        and not any(path.relative_to(folder).match(other) for other in OTHER_FORMATS)
    }
    return combined(files | {"settings": json.dumps(settings, sort_keys=True)})
