"""What the folder of a reader holds, and how one is known, without loading anything."""

from __future__ import annotations

from pathlib import Path

CONFIG, TOWER, WORDS = "config.json", "model.safetensors", "words.safetensors"
"""``CONFIG`` and ``TOWER`` are a stock ``Qwen3VLVisionModel``; ``WORDS`` is the words' table."""
READER = "reader"
"""What ``--model`` calls the reader that comes with the package ..."""
WEIGHTS = Path(__file__).parent / "weights"
"""... and where it lies."""


def names_reader(model: str) -> bool:
    """Whether ``--model`` is a reader, by its name or its folder.

    >>> names_reader("reader"), names_reader("Qwen/Qwen3-VL-4B-Instruct")
    (True, False)
    """
    return model == READER or (Path(model) / WORDS).is_file()


def reader_folder(model: str) -> Path:
    """The folder of a reader that ``--model`` names."""
    return WEIGHTS if model == READER else Path(model)
