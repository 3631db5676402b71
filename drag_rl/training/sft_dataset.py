"""Conversations as training examples for verl's SFT trainer, with the masks and weights of stage one.

verl's loss is ``-sum(mask * log p) / sum(mask)`` over a global batch (``verl/workers/utils/losses.py``), and the mask
may be fractional: a row's weight multiplies its mask.

A conversation is tokenised as the rollout saw it: what stands between two assistant messages is one piece, each
assistant message with its end token is one piece, and pieces are never merged by the tokenizer.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import Dataset

from drag_rl.episode.actions import search_spans
from drag_rl.errors import InputError
from drag_rl.image_file import open_image
from drag_rl.protocol import MESSAGE_END
from drag_rl.sft_options import WEIGHT_SCHEMES, SFTOptions

IMAGE = "<image>"
"""Placeholder of an image in the text of a message; assistant messages have none."""

COLUMNS = ("messages", "images", "turn_train", "rank_score", "best_rank")
"""Columns that a file must have; ``tools`` too, where actions are tool calls."""


class SearchSFTDataset(Dataset[dict[str, Any]]):  # type: ignore[misc]
    """Rows of ``drag format``'s parquet files as ``input_ids``, ``position_ids`` and ``loss_mask``.

    The signature is verl's contract for ``data.custom_cls``. A row has ``messages``, ``images`` (paths, or
    ``{"image": path}`` as in verl's own data sets), ``turn_train``, ``rank_score``, ``best_rank`` and, where actions
    are tool calls, ``tools``.
    """

    def __init__(
        self,
        parquet_files: str | Sequence[str],
        tokenizer: Any,
        config: Any,
        processor: Any = None,
        max_samples: int = -1,
    ) -> None:
        """Raises InputError when a file cannot be read or lacks a column."""
        from drag_rl import verl_plugin  # not at the top: DPO imports this module, and does without verl

        verl_plugin.activate()
        self.options = SFTOptions.from_mapping(config.get("drag"), "data.drag")
        self.max_length: int = config.max_length
        self.tokenizer, self.processor = tokenizer, processor
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        self.rows = [row for file in files for row in _read(Path(file))]
        if max_samples >= 0:
            self.rows = self.rows[:max_samples]
        self._fill_a_batch(config.train_batch_size, files, parquet_files == config.train_files)

    def _fill_a_batch(self, batch_size: int, files: list[str], training: bool) -> None:
        """Make up for verl dropping a batch that is not full.

        Training on less than one batch is refused; a small validation set is repeated until it fills one.
        """
        if len(self.rows) >= batch_size:
            return
        if training or not self.rows:
            raise InputError(
                f"{', '.join(files)}: {len(self.rows)} rows are less than one batch of data.train_batch_size="
                f"{batch_size}: collect more, or lower it"
            )
        self.rows *= -(-batch_size // len(self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``input_ids`` [T], ``position_ids`` [T] or [4, T], ``loss_mask`` [T] in [0, 1], ``multi_modal_inputs``."""
        row = self.rows[index]
        ids: list[int] = []
        mask: list[float] = []
        vision: dict[str, list[torch.Tensor]] = {}
        for text, images, trained in self._pieces(row):
            piece, inputs = self._tokenise(text, images)
            ids += piece
            mask += self._mask(text, piece, trained)
            for name, tensor in inputs.items():
                vision.setdefault(name, []).append(tensor)
        if len(ids) > self.max_length:
            raise InputError(
                f"row {row['row']} has {len(ids)} tokens, data.max_length allows {self.max_length}: raise it, or "
                "drop long trajectories with `drag filter`"
            )
        mask[0] = 0.0  # nothing stands before it to predict it from; verl would take another row's last token
        weight = WEIGHT_SCHEMES[self.options.weight_scheme](row)
        inputs = {name: torch.cat(tensors) for name, tensors in vision.items()}
        input_ids = torch.tensor(ids)
        return {
            "input_ids": input_ids,
            "position_ids": self._positions(input_ids, inputs),
            "loss_mask": torch.tensor(mask) * weight,
            "multi_modal_inputs": inputs,
        }

    def _pieces(self, row: Mapping[str, Any]) -> Iterator[tuple[str, list[Image.Image], bool | None]]:
        """Rendered text, its images, and for an assistant message whether it is trained (None for other text)."""
        messages = [with_image_parts(message) for message in row["messages"]]
        renderer = self.processor or self.tokenizer
        images = [_load(image, self.options.max_pixels, row["row"]) for image in row["images"] or []]
        whole = renderer.apply_chat_template(messages, tools=row["tools"], tokenize=False)
        assistants = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        done, shown = "", 0
        for position, train in zip(assistants, row["turn_train"], strict=True):
            before = renderer.apply_chat_template(
                messages[:position], tools=row["tools"], tokenize=False, add_generation_prompt=True
            )
            said = before + row["messages"][position]["content"] + MESSAGE_END
            if not whole.startswith(said):
                raise InputError(
                    f"row {row['row']}: the model's chat template rewrites assistant message {position}, so it cannot "
                    "be trained as it was written; use action_format=tools with templates that drop earlier thoughts"
                )
            here = sum(_images_of(message) for message in messages[:position])
            yield before[len(done) :], images[shown:here], None
            yield said[len(before) :], [], train
            done, shown = said, here
        yield whole[len(done) :], images[shown:], None

    def _tokenise(self, text: str, images: list[Image.Image]) -> tuple[list[int], dict[str, torch.Tensor]]:
        if not images:
            return self.tokenizer(text, add_special_tokens=False)["input_ids"], {}
        inputs = self.processor(text=[text], images=images, add_special_tokens=False, return_tensors="pt")
        vision = {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}
        return inputs["input_ids"][0].tolist(), vision

    def _mask(self, text: str, ids: list[int], trained: bool | None) -> list[float]:
        strategy = self.options.mask_strategy
        if strategy == "none":
            return [1.0] * len(ids)
        if not trained and (trained is None or self.options.turns == "useful"):
            return [0.0] * len(ids)
        if strategy == "assistant":
            return [1.0] * len(ids)
        spans = search_spans(text)
        offsets = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        begins = [begin for begin, _ in spans]
        nearest = ((start, bisect_left(begins, end) - 1) for start, end in offsets)
        return [float(span >= 0 and spans[span][1] > start) for start, span in nearest]

    def _positions(self, input_ids: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Position ids as in verl's agent loop: text positions, then the three of M-RoPE for models that have it."""
        text = torch.arange(len(input_ids))
        if not hasattr(self.processor, "get_rope_index"):
            return text
        image_id = self.tokenizer.convert_tokens_to_ids(self.processor.image_token)
        positions, _ = self.processor.get_rope_index(
            input_ids=input_ids[None],
            attention_mask=torch.ones_like(input_ids)[None],
            image_grid_thw=inputs.get("image_grid_thw"),
            mm_token_type_ids=(input_ids == image_id).long()[None],
        )
        return torch.cat([text[None], positions[:, 0]])


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    needed = ["messages", "images", "turn_train", "rank_score", "best_rank"]
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]!r}; make the file with `drag format`")
    rows = table.select([*needed, *({"tools"} & set(table.column_names))]).to_pylist()
    return [
        {**row, "tools": without_nulls(row.get("tools")), "row": f"{path}:{number}"}
        for number, row in enumerate(rows)
    ]


def without_nulls(value: Any) -> Any:
    """A value of a parquet file as it was written: there each of several tools has the parameters of all, as nulls.

    >>> without_nulls([{"query": {"type": "string"}, "pages": None}, None])
    [{'query': {'type': 'string'}}, None]
    """
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def with_image_parts(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of ``drag format`` as chat templates take it: an image part for each ``<image>``."""
    message = {name: value for name, value in message.items() if value is not None}
    if message["role"] == "assistant" or IMAGE not in message["content"]:
        return message
    pieces = re.split(f"({IMAGE})", message["content"])
    parts = [
        {"type": "image"} if piece == IMAGE else {"type": "text", "text": piece} for piece in pieces if piece
    ]
    return {**message, "content": parts}


def _images_of(message: Mapping[str, Any]) -> int:
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part["type"] == "image" for part in content)


def _load(reference: Mapping[str, str] | str, max_pixels: int, row: str) -> Image.Image:
    path = reference if isinstance(reference, str) else reference["image"]
    try:
        with open_image(Path(path)) as image:
            if image.width * image.height > max_pixels:
                raise InputError(f"{path} has more than data.drag.max_pixels={max_pixels} pixels")
            return image.convert("RGB")
    except InputError as error:
        raise InputError(f"row {row}: {error}") from None
