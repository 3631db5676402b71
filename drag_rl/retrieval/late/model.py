"""ColQwen3: Qwen3-VL with a projection, which gives a vector of length 1 for every token.

The class is ours because transformers has none, and colpali-engine's fixes the width at 320 and has a bias, which
vLLM's model drops without a word. Name, configuration and weights are those that both read: ``architectures:
["ColQwen3"]``, ``model_type: qwen3_vl``, ``dim``, ``custom_text_proj.weight``. Qwen3-VL's own forward pass runs, so
that DeepStack, the visual features that enter the first language layers, is kept.

Shape letters: B rows of a batch, T tokens, E numbers of a vector.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3VLConfig, Qwen3VLModel

from drag_rl.retrieval.late.model_files import DEFAULT_DIM


class ColQwen3(Qwen3VLModel):  # type: ignore[misc]
    """Qwen3-VL without a language-model head, and a projection without a bias to ``config.dim`` numbers a token."""

    def __init__(self, config: Qwen3VLConfig) -> None:
        config.dim = getattr(config, "dim", None) or DEFAULT_DIM
        # There is no head: where it is not tied vLLM would miss its weights.
        config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
        super().__init__(config)
        self.custom_text_proj = nn.Linear(config.text_config.hidden_size, config.dim, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_token_type_ids: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """A vector of length 1 for every token, zeros for padding, shape (B, T, E).

        Args:
            input_ids: Tokens, padded on the left, shape (B, T).
            attention_mask: 1 for tokens, 0 for padding, shape (B, T).
            pixel_values: Patches of all images, one after the other, as Qwen3-VL's processor makes them.
            image_grid_thw: Frames, rows and columns of each image in patches, shape (images, 3).
            mm_token_type_ids: 1 for tokens of images, shape (B, T); needed with images.
        """
        # Qwen3-VL counts positions itself where there are images; in texts it would count the padding, too, which
        # rounds otherwise in bfloat16.
        seen = super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=_positions(attention_mask) if pixel_values is None else None,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            mm_token_type_ids=mm_token_type_ids,
            use_cache=False,
        )
        self.rope_deltas = None  # a batch leaves nothing behind for the next
        # A projection that learns is float32, over a model in bfloat16 too.
        hidden_BTH = seen.last_hidden_state.to(self.custom_text_proj.weight.dtype)
        vectors_BTE = nn.functional.normalize(self.custom_text_proj(hidden_BTH), dim=-1)
        return vectors_BTE * attention_mask[..., None].to(vectors_BTE.dtype)


def _positions(attention_mask: Tensor) -> Tensor:
    """Positions of text for the three axes of M-RoPE, 0 at the first token that is no padding, shape (3, B, T)."""
    positions_BT = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
    return positions_BT[None].expand(3, -1, -1)


def draw_projection(model: ColQwen3, seed: int) -> None:
    """Draw the projection from N(0, 1 / hidden size), by the seed alone."""
    weight = model.custom_text_proj.weight
    drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)) / weight.shape[1] ** 0.5
    with torch.no_grad():
        weight.copy_(drawn)
