"""A snippet is a piece of the page, within its size, on word boundaries, around the telling words."""

from __future__ import annotations

import time
from itertools import combinations
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import index_of

from drag_rl.retrieval.snippet import cut_snippet
from drag_rl.retrieval.window import best_window
from drag_rl.words import WORD

words = st.text(alphabet="ab\N{LATIN SMALL LETTER E WITH ACUTE}1", min_size=2, max_size=9)
gaps = st.sampled_from([" ", "  ", "\n", ", ", " \n\n  "])


@given(st.lists(st.tuples(words, gaps), min_size=1, max_size=60), st.data(), st.integers(20, 120))
def test_a_snippet_is_a_piece_of_the_page_around_the_match(
    parts: list[tuple[str, str]], data: st.DataObject, snippet_chars: int
) -> None:
    text = "".join(word + gap for word, gap in parts)
    match = data.draw(st.sampled_from(list(WORD.finditer(text))))
    snippet = cut_snippet(text, match.start(), match.start(), snippet_chars)
    squeezed = " ".join(text.split())
    assert len(snippet) <= snippet_chars
    assert f" {snippet} " in f" {squeezed} "  # whole words only
    assert match.group() in snippet
    if len(squeezed) <= snippet_chars:
        assert snippet == squeezed


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=12),
    st.lists(st.sampled_from([0.5, 1.0, 2.5]), min_size=5, max_size=5),
    st.sets(st.integers(0, 4)),
    st.integers(0, 90),
)
def test_the_window_is_the_best_one(
    steps: list[tuple[int, int]], weight: list[float], wanted: set[int], width: int
) -> None:
    """The most weight of different terms, then the most matches, then the earliest."""
    starts = [sum(step for step, _ in steps[: n + 1]) for n in range(len(steps))]
    terms = [term for _, term in steps]
    matches = [n for n, term in enumerate(terms) if term in wanted]

    def key(first: int, last: int) -> tuple[float, int, int]:
        run = [n for n in matches if first <= n <= last]
        return sum(weight[term] for term in {terms[n] for n in run}), len(run), -first

    windows = [(n, n) for n in matches] + list(combinations(matches, 2))
    fitting = [(first, last) for first, last in windows if starts[last] - starts[first] <= width]
    best = [starts[n] for n in max(fitting, key=lambda window: key(*window))] if fitting else [-1, -1]
    rising = sorted(wanted)
    arrays = [np.array(array, dtype=np.int32) for array in (terms, starts, rising)]
    for array in arrays[:2]:
        array.flags.writeable = False  # as those of an index are
    assert [*best_window(*arrays, np.array([weight[term] for term in rising]), width)] == best


def test_a_word_longer_than_the_snippet_is_broken() -> None:
    assert cut_snippet("x" * 50, 0, 0, 10) == "x" * 10
    assert cut_snippet("one two", 0, 4, 0) == ""


def test_a_snippet_shows_the_rare_words(tmp_path: Path) -> None:
    filler = "the common word again and again " * 60
    index = index_of(tmp_path, [filler + "rare zebra crossing " + filler, filler, filler])
    (hit,) = index.search("common zebra crossings", 1, snippet_chars=80).hits
    assert "zebra crossing" in hit.snippet and len(hit.snippet) <= 80


def test_a_snippet_of_a_long_page_takes_under_a_millisecond(tmp_path: Path) -> None:
    long_page = " ".join(f"word{n % 500} filler{n % 40} number{n}" for n in range(3000))
    index = index_of(tmp_path, [long_page, "other"])
    index.search("word7 number9 filler7", 1)
    started = time.thread_time()
    for _ in range(50):
        index.search("word7 number9 word33", 1)
    assert (time.thread_time() - started) / 50 < 0.005  # 0.3 ms on an idle machine
