"""Scores of pages by their stored vectors are those of an independent computation, whatever runs beside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drag_rl.retrieval.late import amx
from drag_rl.retrieval.late import scorer as scorer_module
from drag_rl.retrieval.late.amx_scorer import AmxScorer
from drag_rl.retrieval.late.finder import SPARE_PAGES, LateFinder
from drag_rl.retrieval.late.opening import scorer_for
from drag_rl.retrieval.late.quantisation import bit_planes, from_bfloat16, sign_bits, to_bfloat16
from drag_rl.retrieval.late.scorer import CpuScorer
from drag_rl.retrieval.late.store import Store

Shape = tuple[int, int, list[int]]
"""A seed, the width of vectors, and how many each page has."""
shapes = st.tuples(
    st.integers(0, 1 << 16),
    st.sampled_from([128, 64, 96, 320]),
    st.lists(st.integers(0, 90), min_size=1, max_size=6),
)

few = settings(max_examples=30)
SCORERS = [CpuScorer, AmxScorer] if amx.usable() else [CpuScorer]


def vectors_of(draw: np.random.Generator, count: int, width: int) -> np.ndarray:
    found = draw.normal(size=(count, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def store_of(vectors: np.ndarray, counts: list[int]) -> Store:
    halves = to_bfloat16(vectors)
    made = Store(
        vectors=halves,
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        bits=sign_bits(halves),
    )
    for array in (made.vectors, made.starts, made.bits):
        array.flags.writeable = False  # as mapped ones are
    return made


def random_store(shape: Shape) -> tuple[Store, np.ndarray]:
    """A store and the vectors of a query."""
    seed, width, counts = shape
    draw = np.random.default_rng(seed)
    return store_of(vectors_of(draw, sum(counts), width), counts), vectors_of(draw, 1 + seed % 9, width)


def exact(store: Store, query: np.ndarray) -> np.ndarray:
    """MaxSim of all that is stored, in float64."""
    return by_numpy(store, from_bfloat16(to_bfloat16(query)), from_bfloat16(store.vectors))


def by_numpy(store: Store, query: np.ndarray, of_page: np.ndarray) -> np.ndarray:
    """MaxSim page by page; ``of_page`` are the vectors of all pages."""
    pages = np.split(of_page.astype(np.float64), store.starts[1:-1])
    return np.array([(query @ page.T).max(axis=1).sum() if len(page) else -np.inf for page in pages])


@given(numbers=arrays(np.float32, st.integers(1, 40), elements=st.floats(-4, 4, width=32)))
def test_bfloat16_is_the_nearest(numbers: np.ndarray) -> None:
    import torch

    halves = to_bfloat16(numbers.reshape(1, -1))
    assert torch.equal(
        torch.from_numpy(numbers).bfloat16().view(torch.int16), torch.from_numpy(halves[0].view(np.int16))
    )
    assert from_bfloat16(halves)[0] == pytest.approx(numbers, rel=2**-8, abs=1e-37)


@pytest.mark.parametrize("scorer", SCORERS)
@few
@given(shape=shapes, sign=st.sampled_from([1, -1]))
def test_maxsim_is_that_of_numpy(scorer: type[CpuScorer], shape: Shape, sign: int) -> None:
    store, query = random_store(shape)
    if sign < 0:  # nothing is alike: all similarities are negative
        query = -np.abs(query)
        store = store_of(np.abs(from_bfloat16(store.vectors)), np.diff(store.starts).tolist())
    rows = np.arange(len(store))
    assert scorer(store).maxsim(query, rows) == pytest.approx(exact(store, query), abs=1e-5)
    assert scorer(store).maxsim(query, rows[::-1]) == pytest.approx(exact(store, query)[::-1], abs=1e-5)


@pytest.mark.parametrize("scorer", SCORERS)
def test_maxsim_is_exact_to_a_millionth_where_no_page_is_left_out(scorer: type[CpuScorer]) -> None:
    """More query vectors than two tiles hold, and pages of any number of vectors, the last one of a store too."""
    for tokens, counts in ((24, [768] * 4), (70, [1, 31, 32, 33, 64, 65, 5]), (1, [1])):
        draw = np.random.default_rng(tokens)
        store = store_of(vectors_of(draw, sum(counts), 128), counts)
        query = vectors_of(draw, tokens, 128)
        found = scorer(store).maxsim(query, np.arange(len(counts)))
        assert found == pytest.approx(exact(store, query), rel=1e-6)
        assert scorer(store).maxsim(query, np.arange(0)).shape == (0,)


def test_the_matrix_unit_is_used_where_there_is_one_and_vectors_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    (fits, _), (odd, query) = random_store((1, 96, [3, 40])), random_store((1, 80, [3, 40]))
    assert type(scorer_for(fits, "hamming")) is SCORERS[-1] and type(scorer_for(odd, "hamming")) is CpuScorer
    assert scorer_for(odd, "hamming").maxsim(query, np.arange(2)) == pytest.approx(
        exact(odd, query), abs=1e-5
    )
    with pytest.raises(ValueError, match="no matrix unit for these vectors"):
        AmxScorer(odd)
    monkeypatch.setattr("numba.config.CPU_NAME", "x86-64-v4")  # as NUMBA_CPU_NAME does
    amx.usable.cache_clear()
    try:
        assert type(scorer_for(fits, "hamming")) is CpuScorer
    finally:
        monkeypatch.undo()
        amx.usable.cache_clear()


@few
@given(shape=shapes)
def test_hamming_is_that_of_unpacked_bits(shape: Shape) -> None:
    store, query = random_store(shape)
    width = store.width
    unpacked = np.unpackbits(store.bits.view(np.uint8), axis=1, bitorder="little")[:, :width]
    assert np.array_equal(unpacked == 1, from_bfloat16(store.vectors) > 0)
    signs = np.where(query < 0, -1.0, 1.0)
    found = CpuScorer(store, "hamming").first_look(query, np.arange(len(store)))
    assert found == pytest.approx(by_numpy(store, signs / width, unpacked * 2.0 - 1), abs=1e-5)


@few
@given(shape=shapes)
def test_asymmetric_is_the_product_of_numbers_and_signs(shape: Shape) -> None:
    store, query = random_store(shape)
    signs = np.where(from_bfloat16(store.vectors) < 0, -1.0, 1.0)
    found = CpuScorer(store, "asymmetric").first_look(query, np.arange(len(store)))
    planes = bit_planes(query)
    rounded = np.rint(query / planes.steps[:, None]) * planes.steps[:, None] / np.sqrt(store.width)
    assert found == pytest.approx(by_numpy(store, rounded, signs), abs=1e-4)
    unrounded = by_numpy(store, query / np.sqrt(store.width), signs)
    assert found == pytest.approx(unrounded, abs=0.02 * len(query))


@few
@given(shape=shapes)
def test_torch_gives_the_same_scores(shape: Shape) -> None:
    from drag_rl.retrieval.late import torch_scorer

    store, query = random_store(shape)
    rows = np.arange(len(store))[::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_scorer, "VECTORS_AT_ONCE", 60)
        for look, within in (("hamming", 1e-5), ("asymmetric", 0.02 * len(query))):
            here, there = CpuScorer(store, look), torch_scorer.TorchScorer(store, "cpu", look)
            assert there.maxsim(query, rows) == pytest.approx(here.maxsim(query, rows), abs=1e-5)
            assert there.first_look(query, rows) == pytest.approx(here.first_look(query, rows), abs=within)


def test_a_page_scores_the_same_whichever_others_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store, query = random_store((7, 128, [70, 0, 64, 1, 65, 90] * 20))
    rows = np.arange(len(store))
    for scorer in (CpuScorer(store, "asymmetric"), *(scorer(store) for scorer in SCORERS)):
        for scores in (scorer.maxsim, scorer.first_look):
            together = scores(query, rows)
            alone = np.concatenate([scores(query, rows[row : row + 1]) for row in rows])
            monkeypatch.setattr(scorer_module, "VECTORS_A_THREAD", 100)
            monkeypatch.setattr(scorer_module, "_scoring_threads", lambda: 3)
            assert np.array_equal(together, alone) and np.array_equal(together, scores(query, rows))
            monkeypatch.undo()


def finder_of(store: Store, rescored: int | None) -> LateFinder:
    return LateFinder(store, CpuScorer(store), rescored)


def test_rescoring_all_pages_is_an_exact_search() -> None:
    store, query = random_store((3, 128, [40] * 120))
    wanted = exact(store, query)
    order = np.argsort(-wanted, kind="stable").tolist()
    for rescored in (None, 120, 88):
        ranked, exact_to = finder_of(store, rescored).found(query)(None, 120)
        assert exact_to is None and [row for row, _ in ranked.best(120)] == order


def test_only_the_best_by_bits_are_rescored() -> None:
    store, query = random_store((3, 128, [40] * 119 + [0]))
    looks = CpuScorer(store).first_look(query, np.arange(120))
    within = finder_of(store, 10).found(query)
    ranked, exact_to = within(None, 120)
    rows = [row for row, _ in ranked.best(120)]
    assert exact_to == 10 and sorted(rows) == sorted(
        np.argsort(-looks, kind="stable")[: 10 + SPARE_PAGES].tolist()
    )
    scope = np.arange(20)
    ranked, exact_to = within(scope, 120)
    assert exact_to is None and sorted(row for row, _ in ranked.best(120)) == scope.tolist()
    wanted = exact(store, query)
    assert [row for row, _ in ranked.best(3)] == np.argsort(-wanted[:20], kind="stable")[:3].tolist()


def test_candidates_are_scored_by_maxsim_and_many_by_bits_first() -> None:
    store, query = random_store((3, 128, [40] * 119 + [0]))
    wanted = exact(store, query)
    rows = np.arange(120)[::-1]
    every = finder_of(store, None).scores(query, rows)
    assert every[1:] == pytest.approx(wanted[::-1][1:], abs=1e-5) and np.isfinite(every).all()
    assert min(every) == every[0], "a page without vectors is the last"
    finder = finder_of(store, 10)
    assert finder.scores(query, rows[:40]) == every[:40], "few are all scored by their vectors"
    some = np.array(finder.scores(query, rows))
    ranked, _ = finder.found(query)(None, 120)
    best = [row for row, _ in ranked.best(10 + SPARE_PAGES)]
    assert rows[np.argsort(-some, kind="stable")][: 10 + SPARE_PAGES].tolist() == best
    assert np.isfinite(some).all() and min(some) == some[0]
