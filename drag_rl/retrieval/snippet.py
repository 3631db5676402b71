"""The part of a page that fits a query best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drag_rl.words import UNSPACED, word_at


def fitting_snippet(
    text: str,
    term_ids_T: npt.NDArray[np.int32],
    starts_T: npt.NDArray[np.int32],
    wanted_W: npt.NDArray[np.int32],
    weights_W: npt.NDArray[np.float64],
    snippet_chars: int,
) -> str:
    """Up to ``snippet_chars`` characters around the words that weigh most; the text's beginning without any.

    The text has some terms, each of which begins at some character, rising; wanted are some of them, rising, each of
    some weight.
    """
    from drag_rl.retrieval.window import best_window

    first, last = best_window(term_ids_T, starts_T, wanted_W, weights_W, snippet_chars * 4 // 5)
    if first < 0:
        return _beginning(text, snippet_chars)
    return cut_snippet(text, first, last, snippet_chars)


def cut_snippet(text: str, first: int, last: int, snippet_chars: int) -> str:
    """Up to ``snippet_chars`` characters around the words at ``first`` and ``last``, on word boundaries.

    Runs of white space become one space. The words at both offsets are inside unless they alone are too long.

    >>> cut_snippet("one two  three four\\nfive", 9, 9, 14)
    'three four'
    """
    if snippet_chars <= 0:
        return ""
    end = last + len(word_at(text, last))
    lead = max(0, (snippet_chars - (end - first)) // 2)
    begin = max(0, first - lead)
    if begin and not text[begin - 1].isspace():  # do not start inside a word
        begin = next((i for i in range(begin, first) if text[i].isspace() or UNSPACED.match(text[i])), first)
    forward = _squeezed(text, begin, snippet_chars)
    if len(forward) > snippet_chars:
        return _cut(forward, snippet_chars)
    # The page ends here: fill up from the left.
    words = snippet_chars // 2 + 1  # no more than that can fit
    backward = " ".join(text[:begin].rsplit(maxsplit=words)[-words:])
    room = snippet_chars - len(forward) - 1
    if len(backward) > room:
        backward = _end(backward, room) if room > 0 else ""
    return f"{backward} {forward}".strip()


def _beginning(text: str, snippet_chars: int) -> str:
    squeezed = _squeezed(text, 0, snippet_chars)
    return squeezed if len(squeezed) <= snippet_chars else _cut(squeezed, snippet_chars)


def _squeezed(text: str, begin: int, chars: int) -> str:
    """The text from ``begin`` on, one space between words: all of it, or more than its first ``chars`` characters."""
    near = " ".join(text[begin : begin + chars + chars // 4 + 16].split())
    if len(near) > chars:
        return near
    words = chars // 2 + 1  # no more than that can fit
    return " ".join(text[begin:].split(maxsplit=words)[:words])


def _cut(text: str, room: int) -> str:
    """The first ``room`` characters on a word boundary; only a first word that is too long is broken."""
    if UNSPACED.match(text, room):
        return text[:room].rstrip()
    return text[: room + 1].rpartition(" ")[0] or text[:room]


def _end(text: str, room: int) -> str:
    """The last ``room`` characters from a word boundary on."""
    kept = text[len(text) - room :]
    return kept if UNSPACED.match(kept) else kept.partition(" ")[2]
