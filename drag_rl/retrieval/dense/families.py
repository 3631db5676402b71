"""What embedding models want before a text, and how they pool: the families whose own files do not always say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Pooling = Literal["mean", "cls", "lasttoken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that were trained with the same texts around a text."""

    names: str
    """A regular expression for the last part of a model's name."""
    query_prompt: str = ""
    """Before a query."""
    page_prompt: str = ""
    """Before a passage of a page."""
    pooling: Pooling = "mean"
    """How the vectors of tokens become one."""
    left_padding: bool = False


FAMILIES: dict[str, Family] = {
    # https://huggingface.co/Qwen/Qwen3-Embedding-0.6B
    "qwen3-embedding": Family(
        names=r"qwen3-embedding-.*",
        query_prompt="Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
        pooling="lasttoken",
        left_padding=True,
    ),
    # https://huggingface.co/BAAI/bge-m3: its dense vectors are those of the first token.
    "bge-m3": Family(names=r"bge-m3", pooling="cls"),
    # https://huggingface.co/intfloat/e5-base-v2, and the multilingual ones; those with "instruct" differ.
    "e5": Family(
        names=r"(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?",
        query_prompt="query: ",
        page_prompt="passage: ",
    ),
}


def family_of(model: str) -> Family:
    """The family of a model by the last part of its name; without one, no prompts and mean pooling.

    >>> family_of("intfloat/multilingual-e5-base").query_prompt, family_of("my/model").query_prompt
    ('query: ', '')
    """
    name = model.rstrip("/").rpartition("/")[2].casefold()
    return next((known for known in FAMILIES.values() if re.fullmatch(known.names, name)), Family(names=""))
