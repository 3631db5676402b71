"""Text from pages, questions and queries is data: what looks like a tag or a special token is made inert."""

# ruff: noqa: RUF001, RUF002  (look-alike characters are this file's subject)

from __future__ import annotations

import re

PROTOCOL_TAGS = ("think", "search", "answer", "enough", "information", "tool_call", "tool_response", "tools")
PLACEHOLDERS = ("image", "video", "audio")
"""``<image>`` in a message's text becomes an image in verl's data sets."""
CHAT_TOKENS = (
    "s|bos|eos|unk|pad|mask|sep|cls|start_of_turn|end_of_turn|repo_name|reponame|file_sep|filename|gh_stars|issue_start"
    "|issue_comment|issue_closed|empty_output|jupyter_(?:start|text|code|output|script)|image_soft_token"
)
"""Tokens of known vocabularies that are written as a plain tag."""

_ACTIVE = re.compile(
    r"<(?=[|｜])"  # <|im_end|>, <|image_pad|> and their full-width kin
    rf"|<(?=/?(?:{'|'.join(PROTOCOL_TAGS + PLACEHOLDERS)})\b)"
    rf"|<(?=/?(?:{CHAT_TOKENS})>)",
    re.IGNORECASE,
)
_CONTROL_TOKEN = re.compile(r"<[|｜][^<>\s]{1,60}[|｜]>")


def neutralise(text: str) -> str:
    """Replace the ``<`` of every would-be tag or special token by the visible look-alike ``‹`` (U+2039).

    Total and idempotent; everything else, code and formulas too, stays as it is.

    >>> neutralise("see <search>x</search> and <|im_end|>")
    'see ‹search>x‹/search> and ‹|im_end|>'
    >>> neutralise("x < y, a <- b, x |> f(), <environment>, <stdio.h>")
    'x < y, a <- b, x |> f(), <environment>, <stdio.h>'
    """
    return _ACTIVE.sub("‹", text)


def control_token(text: str) -> str | None:
    """The first ``<|...|>`` token in a text, if any: a policy's message must not hold one.

    >>> control_token("ok <|image_pad|> <|im_end|>"), control_token("x <| f |> g")
    ('<|image_pad|>', None)
    """
    found = _CONTROL_TOKEN.search(text)
    return found.group() if found else None
