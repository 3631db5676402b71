"""Pairs of ``drag format`` as TRL takes them: rendered by the chat template, page images opened batch by batch.

They are rendered here and not by TRL, which would put all images before the first user message, whereas an episode
shows them in later turns; and the prompt ends with the generation prompt, an answer with the end of its message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

from drag_rl.errors import InputError
from drag_rl.image_file import open_image, read_image
from drag_rl.training.sft_dataset import with_image_parts, without_nulls

COLUMNS = ("prompt", "chosen", "rejected")
"""Columns that a file of pairs must have; ``images`` (paths) and ``tools`` are optional."""

Pair = dict[str, Any]
"""``prompt``, ``chosen`` and ``rejected`` as text; ``images``: paths, one for each image token of the prompt."""


def read_pairs(path: Path, processor: Any, max_length: int) -> list[Pair]:
    """The pairs of a file; ``processor`` is the model's processor, or the tokenizer of a model that takes no images.

    Raises:
        InputError: The file cannot be read, a pair has more than ``max_length`` tokens, or its images cannot be read.
    """
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path}: has no column {missing[0]!r}; make the file with `drag format --formats dpo`"
        )
    pairs = [_pair(row, processor) for row in table.to_pylist()]
    for number, pair in enumerate(pairs):
        length = _tokens(pair, processor, f"{path}, row {number}")
        if length > max_length:
            raise InputError(
                f"{path}, row {number}: has {length} tokens, max_length allows {max_length}: raise it"
            )
    return pairs


def shows_images(pairs: Sequence[Pair]) -> bool:
    """Whether any prompt shows an image."""
    return any(pair["images"] for pair in pairs)


def without_images(pair: Pair) -> Pair:
    """The pair in TRL's form for text without images."""
    return {name: text for name, text in pair.items() if name != "images"}


def _pair(row: Mapping[str, Any], processor: Any) -> Pair:
    tokenizer = getattr(processor, "tokenizer", processor)
    prompt = processor.apply_chat_template(
        [with_image_parts(message) for message in row["prompt"]],
        tools=without_nulls(row.get("tools")),
        tokenize=False,
        add_generation_prompt=True,
    )
    images = [image if isinstance(image, str) else image["image"] for image in row.get("images") or ()]
    answers = {side: row[side][0]["content"] + tokenizer.eos_token for side in ("chosen", "rejected")}
    return {"prompt": prompt, **answers, "images": images}


def _tokens(pair: Pair, processor: Any, where: str) -> int:
    """Tokens of the longer side, those of images included; of an image only its size is read."""
    tokenizer = getattr(processor, "tokenizer", processor)
    prompt, *answers = (len(tokenizer(pair[part], add_special_tokens=False)["input_ids"]) for part in COLUMNS)
    length = prompt + max(answers)
    if not pair["images"]:
        return length
    if not hasattr(processor, "image_processor"):
        raise InputError(
            f"{where}: shows images, which this model does not take; use a vision-language model"
        )
    for path in pair["images"]:
        try:
            with open_image(Path(path)) as image:
                width, height = image.size
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        looks = processor.image_processor
        length += looks.get_number_of_image_patches(height, width, {}) // looks.merge_size**2 - 1
    return length


@dataclass
class PageImageCollator(DataCollatorForVisionPreference):  # type: ignore[misc]
    """TRL's collator for pairs whose ``images`` are paths; a batch's images are opened when it is made."""

    def torch_call(self, examples: list[Pair]) -> dict[str, Any]:
        """The batch of ``examples``: chosen sides first, then the rejected ones. Raises InputError for a lost image."""
        opened = [
            {**pair, "images": [read_image(Path(path)) for path in pair["images"]]} for pair in examples
        ]
        batch: dict[str, Any] = super().torch_call(opened)
        return batch
