"""What a model reads around a page image and after a query: the prompts of colpali-engine's ColQwen3.

Models that were trained with colpali-engine, and vLLM's clients, use the same texts; there is no chat template.
"""

from __future__ import annotations

import re

from drag_rl.corpus.clean_text import clean_text

BEFORE_IMAGE = "<|im_start|>user\n<|vision_start|>"
IMAGE_TOKEN = "<|image_pad|>"
AFTER_IMAGE = "<|vision_end|>Describe the image.<|im_end|><|endoftext|>"
PAGE_PROMPT = f"{BEFORE_IMAGE}{IMAGE_TOKEN}{AFTER_IMAGE}"
"""The processor repeats the image token, once for each visual token of the page."""

AUGMENTATION_TOKEN = "<|endoftext|>"
AUGMENTATION_TOKENS = 10
"""Follow a query: in their vectors the model can say what the query's own words leave out (query augmentation)."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}{%- if message['content'] is string -%}"
    f"{{{{ message['content'] }}}}{AUGMENTATION_TOKEN * AUGMENTATION_TOKENS}"
    "{%- else -%}{%- for part in message['content'] -%}{%- if part['type'] == 'text' -%}"
    f"{{{{ part['text'] }}}}{AUGMENTATION_TOKEN * AUGMENTATION_TOKENS}"
    f"{{%- else -%}}{{{{ {PAGE_PROMPT!r} }}}}"
    "{%- endif -%}{%- endfor -%}{%- endif -%}{%- endfor -%}"
)
"""The same prompts for programs that write inputs as messages: vLLM's pooling endpoint does."""

MAX_QUERY_CHARS = 4000
"""Longer queries are cut: what a policy may write is far shorter, and the time of attention grows with the square."""

_CONTROL = re.compile(r"<(?=[|\uff5c])")


def query_prompt(text: str) -> str:
    """What the model reads for a query. Special tokens in its text become plain text, as a look-alike ``<`` opens them.

    >>> query_prompt("an <|image_pad|> of x < y").removesuffix(AUGMENTATION_TOKEN * AUGMENTATION_TOKENS)
    'an \u2039|image_pad|> of x < y'
    """
    return plain_query(text) + AUGMENTATION_TOKEN * AUGMENTATION_TOKENS


def plain_query(text: str) -> str:
    """A query's own part of :func:`query_prompt`, as clean as page texts are. Idempotent."""
    return _CONTROL.sub("\u2039", clean_text(text[:MAX_QUERY_CHARS]))
