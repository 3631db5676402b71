"""From page images and queries to what the model reads, by Qwen3-VL's own processor and tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from drag_rl.retrieval.late.page_grid import PixelLimits, fitted, page_grid
from drag_rl.retrieval.late.prompts import CHAT_TEMPLATE, PAGE_PROMPT, plain_query, query_prompt


class PageProcessor:
    """Qwen3-VL's processor with the prompts of pages and queries, and with limits that hold for every image."""

    def __init__(self, processor: Any, max_visual_tokens: int = 0) -> None:
        """``processor`` is a ``Qwen3VLProcessor``, which is changed; 0 visual tokens leaves it its own limit."""
        self.qwen = processor
        self.tokenizer = processor.tokenizer
        self.tokenizer.padding_side = "left"
        self.limits = limit_pixels(processor.image_processor, max_visual_tokens)

    @property
    def image_token_id(self) -> int:
        """The id of the token that stands for a part of an image."""
        return int(self.qwen.image_token_id)

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of the visual tokens of an image of so many pixels."""
        return page_grid(width, height, self.limits)

    def pages(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        """Tensors of a batch of page images for the model's forward pass, padded on the left."""
        fitting = [fitted(image, self.grid(*image.size), self.limits.tile) for image in images]
        batch = self.qwen(
            text=[PAGE_PROMPT] * len(fitting),
            images=fitting,
            do_resize=False,
            padding="longest",
            return_tensors="pt",
        )
        return dict(batch)

    def queries(self, texts: Sequence[str]) -> dict[str, Any]:
        """Tensors of a batch of queries for the model's forward pass, padded on the left."""
        batch = self.tokenizer(
            [query_prompt(text) for text in texts],
            padding="longest",
            return_token_type_ids=False,
            return_tensors="pt",
        )
        return dict(batch)

    def query_pieces(self, text: str) -> list[str]:
        """What each token of a query stands for; "" for the augmentation tokens."""
        own = plain_query(text)
        spans = self.tokenizer(query_prompt(text), return_offsets_mapping=True)["offset_mapping"]
        return [own[begin:end].strip() for begin, end in spans]

    def save(self, folder: str) -> None:
        """Write processor and tokenizer, with our prompts as the chat template."""
        self.qwen.chat_template = self.tokenizer.chat_template = CHAT_TEMPLATE
        self.qwen.save_pretrained(folder)


def limit_pixels(images: Any, max_visual_tokens: int) -> PixelLimits:
    """Have an image processor make so many visual tokens of an image at most (0: as it is); returns its limits."""
    limits = PixelLimits(
        tile=images.patch_size * images.merge_size,
        fewest=images.size["shortest_edge"],
        most=images.size["longest_edge"],
    ).lowered(max_visual_tokens)
    # Both, as a saved ``max_pixels`` goes before the size.
    images.size = {"shortest_edge": limits.fewest, "longest_edge": limits.most}
    for name, pixels in (("min_pixels", limits.fewest), ("max_pixels", limits.most)):
        if getattr(images, name, None) is not None:
            setattr(images, name, pixels)
    return limits
