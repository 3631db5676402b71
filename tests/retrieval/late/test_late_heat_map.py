"""Heat maps: where a query's words are on a page, what is shown of it, and who can tell."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import numpy as np
import pytest
from colour_pages import COLOURS, SQUARE, SeesColours, box_of, page_image
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.combine.fuse import FusedRetriever
from drag_rl.retrieval.combine.rerank import RerankedRetriever
from drag_rl.retrieval.combine.scorer import RankScorer
from drag_rl.retrieval.late.heat_drawing import (
    GAP,
    LINE,
    MOST_PANELS,
    claim_picture,
    draw_heat_map,
    tinted,
    write_heat_map,
)
from drag_rl.retrieval.late.heat_map import (
    CannotExplainError,
    Explains,
    HeatMap,
    explained,
    heat_map,
    share_within,
    warmth,
)
from drag_rl.retrieval.late.query_words import query_words

PAGE = page_image({(0, 0): "red", (3, 2): "blue", (1, 1): "yellow"})


def of(similarity, tokens=None, query="", image=None):
    cells = np.asarray(similarity, np.float32)
    tokens = tokens if tokens is not None else tuple(f"w{n}" for n in range(len(cells)))
    return HeatMap(
        query=query or " ".join(tokens), image=image or PAGE, tokens=tuple(tokens), similarity=cells
    )


@pytest.mark.parametrize(("word", "place"), [("red", (0, 0)), ("blue", (3, 2)), ("yellow", (1, 1))])
def test_a_word_is_where_it_is_on_the_page(word, place):
    found = heat_map(SeesColours(), PAGE, f"the {word} one")
    assert [one.text for one in found.words] == ["the", word, "one"]
    assert share_within(found.of_word(1), box_of(*place), PAGE.size) > 0.99
    assert found.best(1) == pytest.approx(1.0, abs=1e-5)
    elsewhere = share_within(found.of_word(1), box_of(2, 0), PAGE.size)
    assert elsewhere < 0.01


def test_the_whole_query_is_where_its_score_comes_from():
    found = heat_map(SeesColours(), PAGE, "red and blue")
    whole = found.whole()
    shares = [share_within(whole, box_of(*place), PAGE.size) for place in ((0, 0), (3, 2))]
    assert shares == pytest.approx([0.5, 0.5], abs=0.01), "'and' is nowhere, and takes no part of the score"
    assert found.score == pytest.approx(2.0, abs=1e-4)


def test_a_word_that_looks_like_nothing_is_everywhere_alike():
    found = heat_map(SeesColours(), PAGE, "and")
    assert np.allclose(found.whole(), 1 / 12)
    assert found.best(0) == 0.0


similarities = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    elements=st.floats(-1, 1, width=32),
)


@settings(max_examples=40)
@given(similarities, st.floats(0, 1), st.floats(0, 1))
def test_maps_are_shares(similarity, across, down):
    found = of(similarity)
    width, height = PAGE.size
    x, y = across * width, down * height
    for mass in (found.whole(), *(found.of_word(number) for number in range(len(similarity)))):
        assert (mass >= 0).all() and mass.sum() == pytest.approx(1, abs=1e-5)
        corners = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
        shares = [share_within(mass, corner, PAGE.size) for corner in corners]
        assert sum(shares) == pytest.approx(1, abs=1e-5), "what is cut in four is all there"
        assert (warmth(mass) >= 0).all() and (warmth(mass) < 1).all()
    assert found.score == pytest.approx(similarity.max(axis=(1, 2)).sum(), abs=1e-4)


@settings(max_examples=40)
@given(similarities)
def test_a_map_turns_with_the_page(similarity):
    turned = of(similarity[:, ::-1, ::-1])
    assert np.allclose(turned.whole(), of(similarity).whole()[::-1, ::-1], atol=1e-6)


@pytest.mark.slow  # sentence-transformers is imported
def test_similarities_are_those_of_sentence_transformers():
    import torch
    from sentence_transformers.multi_vector_encoder.interpretability import maxsim_similarity_map

    embedder, query = SeesColours(), "the red and the cyan square"
    found = heat_map(embedder, PAGE, query)
    (page,), (query_TE,) = embedder.embed_pages([PAGE]), embedder.embed_queries([query])
    rows, columns = page.grid
    theirs = maxsim_similarity_map(torch.tensor(query_TE), torch.tensor(page.vectors), (columns, rows))
    assert np.abs(theirs.numpy() - found.similarity).max() < 1e-6


texts = st.text(st.sampled_from("ab ,é日本\n"), max_size=30)


@settings(max_examples=40)
@given(texts, st.lists(st.integers(0, 30), max_size=10))
def test_every_token_of_a_text_is_in_one_word(text, cuts):
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    tokens = [text[a:b] for a, b in pairwise(edges)]
    words = query_words(text, [*tokens, ""])
    places = [place for word in words for place in word.tokens]
    assert places == [place for place, token in enumerate(tokens) if token.strip()]
    assert all(word.text and word.text.strip() == word.text for word in words)


@settings(max_examples=40)
@given(st.text(max_size=30), st.lists(st.text(max_size=5), max_size=8))
def test_tokens_that_are_no_pieces_of_the_text_do_no_harm(text, tokens):
    words = query_words(text, tokens)
    assert sorted(place for word in words for place in word.tokens) == [
        place for place, token in enumerate(tokens) if token.strip()
    ]


def test_a_picture_has_a_panel_for_the_query_and_one_for_each_word():
    found = heat_map(SeesColours(), PAGE, "red blue")
    picture = draw_heat_map(found, "doc#1")
    wide = max(PAGE.width * 420 // PAGE.height, 210) + GAP
    assert picture.size == (3 * wide + GAP, 420 + LINE + GAP + LINE + GAP)
    assert draw_heat_map(heat_map(SeesColours(), PAGE, ""), "doc#1").width < picture.width


def test_only_what_matches_is_tinted():
    mass = heat_map(SeesColours(), PAGE, "blue").of_word(0)
    drawn = np.asarray(tinted(PAGE, mass)).astype(int)
    change = np.abs(drawn - np.asarray(PAGE)).sum(axis=2)
    left, top, right, bottom = box_of(3, 2)
    assert change[top:bottom, left:right].min() > 30
    assert change[: 2 * SQUARE, : 2 * SQUARE].max() == 0, "far from it the page is as it was"
    nowhere = heat_map(SeesColours(), PAGE, "and").of_word(0)
    assert np.array_equal(np.asarray(tinted(PAGE, nowhere)), np.asarray(PAGE)), (
        "a word that is nowhere is cold"
    )


@pytest.mark.parametrize(
    ("query", "tokens"),
    [
        ("\x1b[31m\u202ered " * 40, None),
        ("首都 \ud800 ก็", ("首都", "\ud800", "ก็")),
        ("long" * 500, None),
    ],
)
def test_any_query_can_be_drawn(query, tokens):
    tokens = tokens or tuple(query.split())
    found = of(np.zeros((len(tokens), 1, 1)), tokens, query, Image.new("RGB", (1, 3)))
    assert len(found.words) == len(tokens)
    columns, rows = 4, MOST_PANELS // 4
    picture = draw_heat_map(found, "page \x00#1")
    assert picture.width <= columns * (420 + GAP) + GAP
    assert picture.height <= rows * (420 + LINE + GAP) + LINE + GAP


def test_a_picture_replaces_an_earlier_one_and_nothing_else(tmp_path):
    found = heat_map(SeesColours(), PAGE, "red")
    out = tmp_path / "why.png"
    write_heat_map(found, "doc#1", out)
    write_heat_map(found, "doc#1", out)
    with Image.open(out) as image:
        assert image.format == "PNG"
    PAGE.save(tmp_path / "page.png")
    (tmp_path / "text.png").write_text("mine")
    for name in ("page.png", "text.png"):
        with pytest.raises(InputError, match=f"{name}: is there, and is no heat map of ours"):
            write_heat_map(found, "doc#1", tmp_path / name)
    with pytest.raises(InputError, match=r"why\.jpg: should end in \.png"):
        claim_picture(tmp_path / "why.jpg")


class Tells:
    """Explains every page by one and the same heat map."""

    pages = PageTexts.of({"a#1": "fox"})
    fingerprint = "tells"

    def __init__(self, found):
        self.found = found

    async def explain(self, query, page_id):
        del query, page_id
        return self.found

    async def score(self, query, page_ids):
        del query
        return [0.0 for _ in page_ids]


class Silent:
    """A part that cannot explain."""

    pages = Tells.pages
    fingerprint = "silent"


def test_a_composed_index_is_explained_by_its_first_part_that_can():
    one, other = (Tells(of([[[value]]])) for value in (0.1, 0.2))
    silent = Silent()
    told = [
        (RerankedRetriever(silent, one, "f"), one),
        (RerankedRetriever(one, other, "f"), other),
        (RerankedRetriever(one, RankScorer(silent), "f"), one),
        (RerankedRetriever(silent, RankScorer(other), "f"), other),
        (FusedRetriever([silent, other, one], "f"), other),
        (FusedRetriever([RerankedRetriever(silent, silent, "f"), one], "f"), one),
    ]
    for index, expected in told:
        assert isinstance(index, Explains)
        assert asyncio.run(explained("q", "a#1", index)) is expected.found


def test_an_index_that_sees_no_pages_says_so():
    silent = Silent()
    for index in (silent, FusedRetriever([silent, silent], "f"), RerankedRetriever(silent, silent, "f")):
        with pytest.raises(CannotExplainError, match="give one of --kind late, or a rerank or fuse index"):
            asyncio.run(explained("q", "a#1", index))


def test_colours_are_told_apart_by_the_stand_in():
    vectors = SeesColours().embed_queries(list(COLOURS))
    cosines = np.array([[float(one[0] @ other[0]) for other in vectors] for one in vectors])
    assert np.all(cosines - 2 * np.eye(len(COLOURS)) < 0.8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_model_that_has_learnt_to_see_points_at_the_word(late_world):
    """On held-out pages, of combinations that it was never shown: which part of a map lies on the symbols asked for.

    A model that has learnt from whole pages need not keep the words of a question apart: what one token finds may be
    what another one names. So a word's own map is held to its box where the word is asked alone.
    """
    from late_world import CELL_PIXELS, NAMED
    from late_world import page_image as symbols_at

    from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder

    places = json.loads((late_world / "places.json").read_text())
    held_out = [page_id for page_id in places if page_id.startswith("held-out")][:30]
    embedder = open_multi_vector_embedder(
        MultiVectorSettings(model=str(late_world / "run" / "model"), device="cpu", dtype="float32")
    )
    alone, together, word_by_word = [], [], []
    for page_id in held_out:
        names, image = list(places[page_id]), symbols_at(places[page_id])
        boxes = [
            tuple(CELL_PIXELS * side for side in (column, row, column + 1, row + 1))
            for row, column in places[page_id].values()
        ]
        for name, box in zip(names, boxes, strict=True):
            alone.append(share_within(heat_map(embedder, image, name).of_word(0), box, image.size))
        asked = names[:NAMED]
        found = heat_map(embedder, image, " ".join(asked))
        assert [word.text for word in found.words] == asked
        together.append(sum(share_within(found.whole(), box, image.size) for box in boxes[:NAMED]))
        word_by_word += [share_within(found.of_word(n), boxes[n], image.size) for n in range(NAMED)]
    said = (
        f"mass on the right box: {np.mean(alone):.3f} of {len(alone)} words asked alone; of {len(together)} questions "
        f"of {NAMED} words {np.mean(together):.3f} on their words' boxes, word by word {np.mean(word_by_word):.3f}"
    )
    print(said)  # noqa: T201
    assert len(alone) >= 100 and np.mean(alone) >= 0.8, said
    assert np.mean(together) >= 0.8, said
