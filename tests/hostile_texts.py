"""Texts that no reader should take long for: one thing again and again, what does not end, what is nested deeply."""

from __future__ import annotations

import random

SIZES = (1_000, 5_000, 100_000)
ALWAYS = frozenset({"' '", "'['", "brackets around blanks", "an open tag before blanks", "a mixture"})
"""Texts of which the longest is never spared."""

UNITS = (
    *(
        " ",
        "\n",
        " \n",
        "\t",
        "\u00a0",
        "\u2028",
        "\u200b",
        "\x00",
        "\ud800",
        "[",
        "]",
        "[ ",
        "[#1",
        "[a#1]",
        "[a#1; ",
    ),
    *(
        "#",
        "#1 ",
        "a#1, ",
        "{",
        '{"a":',
        '"',
        "1",
        "1 ",
        "1, ",
        "a, 1 ",
        "1.1 ",
        ".",
        ". ",
        " . . . 1",
        "?",
        ",",
    ),
    *(
        "<",
        "</",
        "<|",
        "<|a",
        "<|a|>",
        "<think>",
        "</think>",
        "<search>",
        "<search></search>",
        "<tool_call>",
        "<image>",
    ),
    *(
        "-",
        "-\n",
        "ab-\ncd ",
        "ab\u00ad\n",
        "a",
        "a ",
        "a\n",
        "Aa b. ",
        "a-b ",
        "xError ",
        "chapter ",
        "i",
        "_",
    ),
    *("\u0301", "e\u0301", "\u4e2d", "\u4e2d\n", "\u3042\u30a2", "\uac00", "\u0e01\u0e34", "\u0939\u093f"),
    *("\uff21", "\uff76\uff9e", "\u3002"),
)
"""Each text is one of these, again and again."""


def hostile(size: int) -> dict[str, str]:
    """Texts of about ``size`` characters, by what they are made of."""
    rng = random.Random(size)
    shaped = {
        "brackets around blanks": f"[{' ' * size}]",
        "nested brackets": "[" * (size // 2) + "a#1" + "]" * (size // 2),
        "blanks between words": f"a{' ' * size}b 1x",
        "an open tag before blanks": f"<search>{' ' * size}",
        "all there is": "".join(map(chr, range(32, 32 + size))),
        "a mixture": "".join(rng.choices(UNITS, k=size // 3)),
        "nested JSON": '{"name": "search", "arguments": ' + "[" * size,
        "digits in JSON": '{"name": "search", "arguments": {"query": ' + "1" * size + "}}",
    }
    return {repr(unit): (unit * size)[:size] for unit in UNITS} | shaped


TEXTS = {size: hostile(size) for size in SIZES}
