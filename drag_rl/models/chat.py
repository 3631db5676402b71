"""What both models share: the chat template, the special tokens and the byte-level BPE tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from drag_rl.protocol import MESSAGE_END

END_OF_TEXT = "<|endoftext|>"
"""The padding token; it never ends a message."""
IM_START = "<|im_start|>"
IM_END = MESSAGE_END
"""Ends a message: the one end-of-sequence token."""
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END, *VISION_TOKENS)
"""Special tokens: no text of a page or a user becomes one of them, and decoding may skip them."""
IMAGE_PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"
"""What the template writes for an image; the processor repeats the middle token, one for each patch group."""


def chat_template() -> str:
    """The Jinja source of the chat template."""
    return files(__package__).joinpath("chat_template.jinja").read_text(encoding="utf-8")


def byte_level_bpe(vocab: dict[str, int] | None = None, merges: Sequence[tuple[str, str]] = ()) -> Tokenizer:
    """A byte-level BPE that splits off every digit and loses nothing: decoding gives the text back."""
    tokenizer = Tokenizer(models.BPE(vocab=vocab or {}, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def chat_tokenizer(bpe: Tokenizer, *, markup: Sequence[str] = (), max_tokens: int) -> PreTrainedTokenizerFast:
    """A tokenizer with the chat template, ``<|im_end|>`` as its end and ``<|endoftext|>`` as its padding.

    ``markup`` are tags of one token each that stay in decoded text; ``max_tokens`` is the context length.
    """
    bpe.add_special_tokens(list(SPECIAL_TOKENS))
    bpe.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in markup])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=IM_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[IM_START, *VISION_TOKENS],
        chat_template=chat_template(),
        model_max_length=max_tokens,
        clean_up_tokenization_spaces=False,
    )


def vision_token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """The vision token ids by the names that a model's configuration gives them."""
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)), strict=True))


def text_token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The ids that end and pad a sequence, by the names that a model's configuration gives them."""
    return {
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
