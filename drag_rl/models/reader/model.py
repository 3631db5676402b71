"""A reader: the tower and the words' table, and the folder that holds them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

from drag_rl.errors import InputError
from drag_rl.models.reader.folder import CONFIG, TOWER, WORDS
from drag_rl.models.reader.tower import TileReader, new_tower, vision_config
from drag_rl.models.reader.words import WordReader


class Reader(nn.Module):  # type: ignore[misc]
    """Both sides of what is trained."""

    def __init__(self, config: Qwen3VLVisionConfig) -> None:
        super().__init__()
        self.eye = TileReader(new_tower(config))
        self.words = WordReader()

    @property
    def config(self) -> Qwen3VLVisionConfig:
        """Of the tower."""
        config: Qwen3VLVisionConfig = self.eye.tower.config
        return config


def new_reader(seed: int, *, width: int = 256, depth: int = 4) -> Reader:
    """A reader that has learnt nothing."""
    torch.manual_seed(seed)
    return Reader(vision_config(width=width, depth=depth, heads=width // 64))


def save_reader(reader: Reader, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write a reader into a folder, which is there."""
    reader.config.to_json_file(folder / CONFIG)
    for name, part in ((TOWER, reader.eye.tower), (WORDS, reader.words)):
        tensors = {
            key: value.detach().to("cpu", dtype).contiguous() for key, value in part.state_dict().items()
        }
        save_file(tensors, folder / name, metadata={"format": "pt"})


def load_reader(folder: Path) -> Reader:
    """The reader of a folder, in float32; raises ``InputError`` if it holds none."""
    try:
        reader = Reader(Qwen3VLVisionConfig.from_json_file(folder / CONFIG))
        reader.eye.tower.load_state_dict(load_file(folder / TOWER))
        reader.words.load_state_dict(load_file(folder / WORDS))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError(f"{folder}: holds no reader: {why}") from error
    return reader
