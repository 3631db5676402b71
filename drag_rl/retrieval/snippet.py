"""The part of a page that fits a query best."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.words import UNSPACED, word_at


def fitting_snippet(
    text: str, starts: Sequence[int], weights: Sequence[tuple[int, float]], snippet_chars: int
) -> str:
    """Up to ``snippet_chars`` characters around the matches that weigh most; the text's beginning without any.

    ``starts`` are the offsets of the matched words, rising; ``weights`` the (term id, weight) of each.

    >>> fitting_snippet("one two three four five", [8, 14], [(0, 1.0), (1, 2.0)], 10)
    'three four'
    >>> fitting_snippet("one two three four five", [], [], 10)
    'one two'
    """
    first, last = best_window(starts, weights, snippet_chars * 4 // 5)
    return (
        cut_snippet(text, starts[first], starts[last], snippet_chars)
        if starts
        else _beginning(text, snippet_chars)
    )


def best_window(starts: Sequence[int], weights: Sequence[tuple[int, float]], width: int) -> tuple[int, int]:
    """The run of matches ``(first, last)``, within ``width`` characters, with the most distinct-term weight.

    ``starts`` are the offsets of the matched words, rising; ``weights`` the (term id, weight) of each. Ties
    go to the run with more matches, then to the earlier one. One pass over the matches.

    >>> best_window([0, 10, 500, 520, 540], [(1, 1.0), (1, 1.0), (1, 1.0), (2, 3.0), (1, 1.0)], width=100)
    (2, 4)
    """
    counts: dict[int, int] = {}
    best, best_key, weight, first = (0, 0), (-1.0, 0), 0.0, 0
    for last, (term, term_weight) in enumerate(weights):
        counts[term] = counts.get(term, 0) + 1
        if counts[term] == 1:
            weight += term_weight
        while starts[last] - starts[first] > width:
            left, left_weight = weights[first]
            counts[left] -= 1
            if counts[left] == 0:
                weight -= left_weight
            first += 1
        key = (round(weight, 6), last - first)
        if key > best_key:
            best, best_key = (first, last), key
    return best


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
    words = snippet_chars // 2 + 1  # no more than that can fit
    forward = " ".join(text[begin:].split(maxsplit=words)[:words])
    if len(forward) > snippet_chars:
        return _cut(forward, snippet_chars)
    # The page ends here: fill up from the left.
    backward = " ".join(text[:begin].rsplit(maxsplit=words)[-words:])
    room = snippet_chars - len(forward) - 1
    if len(backward) > room:
        backward = _end(backward, room) if room > 0 else ""
    return f"{backward} {forward}".strip()


def _beginning(text: str, snippet_chars: int) -> str:
    words = text.split(maxsplit=snippet_chars // 2 + 1)
    squeezed = " ".join(words)
    return squeezed if len(squeezed) <= snippet_chars else _cut(squeezed, snippet_chars)


def _cut(text: str, room: int) -> str:
    """The first ``room`` characters on a word boundary; only a first word that is too long is broken."""
    if UNSPACED.match(text, room):
        return text[:room].rstrip()
    return text[: room + 1].rpartition(" ")[0] or text[:room]


def _end(text: str, room: int) -> str:
    """The last ``room`` characters from a word boundary on."""
    kept = text[len(text) - room :]
    return kept if UNSPACED.match(kept) else kept.partition(" ")[2]
