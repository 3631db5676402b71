"""ColQwen3 as a ``MultiVectorEncoder`` of sentence-transformers: its training, losses, scorers and evaluators apply.

The encoder has two modules: this one (processor, model, projection, length 1), and sentence-transformers' mask, which
keeps of a page the tokens of the image alone. The tokens before the image are the same in every page, would win every
MaxSim and leave the loss without a gradient.

Where sentence-transformers is left, and why: its ``Transformer`` module writes inputs by the model's chat template, has
no query augmentation that fits such templates, and does not say which weights were missing; its ``Dense`` keeps the
projection in a file of its own, which neither vLLM nor colpali-engine reads, and outside of the model that PEFT adapts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from PIL import Image
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import InputModule
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from torch import Tensor

from drag_rl.retrieval.late.processor import PageProcessor

_MODEL_INPUTS = ("input_ids", "attention_mask", "pixel_values", "image_grid_thw", "mm_token_type_ids")


class ColQwen3Module(InputModule):  # type: ignore[misc]
    """Images are pages, texts are queries; a vector of length 1 for each token."""

    save_in_root = True

    def __init__(self, model: Any, pages: PageProcessor) -> None:
        """``model`` is a ``ColQwen3``, or a ``PeftModel`` of one."""
        super().__init__()
        self.model = model
        self.pages = pages

    @property
    def modalities(self) -> list[str]:
        """See sentence-transformers."""
        return ["text", "image"]

    @property
    def tokenizer(self) -> Any:
        """See sentence-transformers."""
        return self.pages.tokenizer

    @property
    def processor(self) -> Any:
        """Qwen3-VL's processor; sentence-transformers' trainer saves it."""
        return self.pages.qwen

    @property
    def max_seq_length(self) -> int:
        """Tokens that the model can take."""
        return int(self.tokenizer.model_max_length)

    def get_embedding_dimension(self) -> int:
        """Numbers of a vector."""
        return int(self.model.config.dim)

    def preprocess(
        self, inputs: Sequence[str | Image.Image], prompt: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Tensors of a batch of page images, or of one of queries. Raises ``ValueError`` for a mixture."""
        if all(isinstance(one, str) for one in inputs):
            return self.pages.queries([f"{prompt or ''}{text}" for text in inputs])
        if all(isinstance(one, Image.Image) for one in inputs):
            return self.pages.pages(inputs)
        kinds = sorted({type(one).__name__ for one in inputs})
        raise ValueError(f"a batch is of page images or of query texts, not of {' and '.join(kinds)}")

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """Adds ``token_embeddings``, shape (B, T, E)."""
        vectors: Tensor = self.model(**{name: features[name] for name in _MODEL_INPUTS if name in features})
        features["token_embeddings"] = vectors
        return features

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """The checkpoint, or the adapter where there is one, and the processor."""
        from drag_rl.retrieval.late.saving import save_weights

        save_weights(self, output_path)

    @classmethod
    def load(cls, model_name_or_path: str, **_: Any) -> Self:
        """The module that :meth:`save` wrote, in the type that it was stored in, an adapter ready to train.

        This is for sentence-transformers, which then moves it to a device; we load by ``load_encoder``.
        """
        from drag_rl.retrieval.late.loading import load_stored_module

        return load_stored_module(model_name_or_path)


def new_encoder(module: ColQwen3Module, device: str) -> MultiVectorEncoder:
    """The encoder of a model: ``encode_document`` takes page images, ``encode_query`` texts."""
    mask = MultiVectorMask(keep_only_token_ids=[module.pages.image_token_id])
    return MultiVectorEncoder(modules=[module, mask], device=device)
