"""The files of a retriever model and its adapter on this machine, looked into without loading them, or torch."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from safetensors import SafetensorError, safe_open

from drag_rl.errors import InputError
from drag_rl.retrieval.dense.model_files import model_folder
from drag_rl.retrieval.late.embedder import MultiVectorSettings

ADAPTER_CONFIG = "adapter_config.json"
PROJECTION = "custom_text_proj"
"""What colpali-engine and vLLM call the projection."""
PROJECTION_WEIGHT = f"{PROJECTION}.weight"
DEFAULT_DIM = 128
MODULE = "ColQwen3Module"
"""The class by which sentence-transformers loads a model of ours."""
PACKAGES = ("torch", "transformers", "sentence_transformers", "peft")


def check_packages(model: str) -> None:
    """Raise ``InputError`` unless everything is installed that runs a model."""
    missing = [name.replace("_", "-") for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"--model {model}: needs more packages ({', '.join(missing)}): pip install 'drag-rl[retrieval]'"
        )


def model_and_adapter(settings: MultiVectorSettings, *, draws: bool = False) -> tuple[Path, Path | None]:
    """The folders of the model and of its adapter, downloaded if need be.

    Raises ``InputError`` without them, and for what is no retriever model by its configuration or, unless one is to be
    drawn, lack of a projection.
    """
    adapter = adapter_folder(settings.adapter) if settings.adapter else None
    model = settings.model
    if is_adapter(model):
        if adapter:
            raise InputError(f"--model {model}: is an adapter itself; give its base, or no --adapter")
        adapter = adapter_folder(model, "--model")
        model = base_of(adapter)
    folder = model_folder(model)
    if not is_foreign(folder):
        check_type(folder)
        vector_width(folder, projection_width(adapter) if adapter else DEFAULT_DIM * draws)
    return folder, adapter


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


def is_adapter(model: str) -> bool:
    """Whether a folder holds an adapter and no model."""
    return (Path(model) / ADAPTER_CONFIG).is_file() and not (Path(model) / "config.json").is_file()


def base_of(adapter: Path) -> str:
    """The base model that an adapter names. Raises ``InputError`` if it names none."""
    try:
        base = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{adapter}/{ADAPTER_CONFIG}: cannot be read: {error}") from error
    if not base or not isinstance(base, str):
        raise InputError(f"{adapter}: names no base model; give it with --model, and this with --adapter")
    return base


def is_foreign(folder: Path) -> bool:
    """Whether sentence-transformers alone knows how to load a folder: its own format, and not of our module."""
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        return not any(module["type"].endswith(f".{MODULE}") for module in modules)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder}/modules.json: cannot be read: {error}") from error


def check_type(folder: Path) -> None:
    """Raise ``InputError`` unless a model's folder is that of a Qwen3-VL."""
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = stored.get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder}/config.json: cannot be read: {_line(error)}") from error
    if kind != "qwen3_vl":
        raise InputError(f"--model {folder}: is of type {kind}, where a Qwen3-VL (qwen3_vl) is needed")


def vector_width(folder: Path, new_projection: int = 0) -> int:
    """Numbers of a vector of the model in a folder; ``new_projection``, if not 0, where it has no projection.

    Raises ``InputError``, which tells what to do, for a base model without one.
    """
    width = projection_width(folder) or new_projection
    if not width:
        raise InputError(
            f"--model {folder}: has no projection ({PROJECTION_WEIGHT}), so it is no retriever model; make one of it: "
            f"python -m drag_rl.retrieval.late.new_model --base {folder} --out DIR"
        )
    return width


def projection_width(folder: Path) -> int:
    """Numbers of a vector of the projection whose weights a folder holds, a model's or an adapter's; 0: it has none."""
    shapes = [shape for name, shape in weight_shapes(folder).items() if name.endswith(PROJECTION_WEIGHT)]
    return shapes[0][0] if shapes else 0


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in a folder's safetensors, by name, without reading them.

    Raises ``InputError`` for a file that is none.
    """
    shapes = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "np") as file:
                shapes.update({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: is no safetensors file: {_line(error)}") from error
    return shapes


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
