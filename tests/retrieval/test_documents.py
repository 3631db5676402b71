"""Indexes from Python lists: what is found, what is refused, and that a folder of one is as good as any."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drag_rl.cli.main import main
from drag_rl.corpus.images import PageImages
from drag_rl.errors import InputError
from drag_rl.retrieval import Query, open_retriever
from drag_rl.retrieval.documents import index_documents, search

TEXTS = {"b#2": "red fox", "b#1": "blue whale", "note": "a fox", "a/c": "red tree"}


@pytest.fixture(scope="module")
def pages():
    return index_documents(list(TEXTS), list(TEXTS.values()))


def test_an_id_without_a_number_is_a_document_of_one_page(pages):
    assert pages.pages.page_ids == ("a/c#1", "b#1", "b#2", "note#1")
    assert [hit.page_id for hit in search(pages, "foxes")] == ["note#1", "b#2"]
    assert search(pages, Query(text="fox", scope="note"))[0].snippet == "a fox"


def test_queries_have_their_hits_in_order(pages):
    several = search(pages, ["whale", Query(text="red"), "zebra"], top_k=1)
    assert [[hit.page_id for hit in hits] for hits in several] == [["b#1"], ["a/c#1"], []]
    assert search(pages, []) == []
    assert [hit.snippet for hit in search(pages, "whale", snippet_chars=5)] == ["whale"]
    with pytest.raises(InputError, match="'zoo' has no page"):
        search(pages, Query(text="fox", scope="zoo"))


def test_a_notebook_searches_inside_its_event_loop(pages):
    async def cell():
        return search(pages, "whale")

    assert [hit.page_id for hit in asyncio.run(cell())] == ["b#1"]


def test_what_is_not_kept_goes_with_its_retriever(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = index_documents(["a"], ["fox"], k1=0.5)
    assert [path.name[:8] for path in tmp_path.iterdir()] == ["drag-rl-"]
    del kept
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_opened_again_and_indexed_by_the_command(tmp_path, capsys):
    made = index_documents(list(TEXTS), list(TEXTS.values()), folder=tmp_path / "kept")
    again = open_retriever(tmp_path / "kept" / "index", tmp_path / "kept" / "pages")
    assert again.fingerprint == made.fingerprint and search(again, "fox") == search(made, "fox")
    with pytest.raises(SystemExit):
        main(["index", "--pages", str(tmp_path / "kept/pages"), "--out", str(tmp_path / "kept/index")])
    assert "is up to date: 4 pages" in capsys.readouterr().out
    index_documents(["a"], ["new"], folder=tmp_path / "kept")
    assert open_retriever(tmp_path / "kept" / "index").pages.page_ids == ("a#1",)


def test_nobody_elses_folder_is_overwritten(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "pages.parquet").write_text("mine")
    with pytest.raises(InputError, match="pages"):
        index_documents(["a"], ["fox"], folder=tmp_path)
    assert (tmp_path / "pages" / "pages.parquet").read_text() == "mine"


def test_images_are_shown_pixel_by_pixel(tmp_path):
    paths = []
    for number, colour in enumerate(("red", "lime", "blue")):
        paths.append(tmp_path / f"{number}.webp")
        Image.new("RGB", (40 + number, 30), colour).save(paths[-1], lossless=True)
    ids = ["../up#1", "../up#2", "note"]
    index_documents(ids, ["one", "two", "three"], paths, folder=tmp_path / "kept")
    images = PageImages(tmp_path / "kept" / "pages")
    shown = [images.load(page_id) for page_id in ("../up#1", "../up#2", "note#1")]
    assert [image.size for image in shown] == [(40, 30), (41, 30), (42, 30)]
    assert [image.getpixel((20, 15)) for image in shown] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert len(list((tmp_path / "kept" / "page_images").rglob("*.webp"))) == 3


def test_images_that_cannot_be_shown_are_refused(tmp_path):
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    for ids, paths, folder, said in (
        (["a"], [picture], None, "needs a folder"),
        (["a"], [None], tmp_path / "one", "none for 'a'"),
        (["a"], [tmp_path / "none.png"], tmp_path / "two", "no such file"),
        (["a"], [picture, picture], tmp_path / "three", "there are 2 for 1 doc_ids"),
    ):
        with pytest.raises(InputError, match=said):
            index_documents(ids, ["fox"], paths, folder=folder)
    assert not (tmp_path / "two" / "pages").exists()


@pytest.mark.parametrize(
    ("ids", "texts", "said"),
    [
        (["a", "a"], ["x", "y"], "'a' and 'a' are the same page"),
        (["a#1", "a"], ["x", "y"], "'a#1' and 'a' are the same page"),
        (["a"], ["x", "y"], "there are 2 for 1 doc_ids"),
        ([], [], "is empty"),
        (["a\n"], ["x"], "is no id"),
        ([""], ["x"], "is no id"),
        ([7], ["x"], "is no id"),
        (["a"], [None], "no text but NoneType"),
    ],
)
def test_lists_that_do_not_fit_are_refused(ids, texts, said):
    with pytest.raises(InputError, match=said):
        index_documents(ids, texts)


def test_a_wrong_option_is_named():
    with pytest.raises(InputError, match="--nlist is no option of --kind bm25"):
        index_documents(["a"], ["x"], nlist=3)


@given(st.lists(st.text(max_size=6), unique=True, max_size=4), st.text())
def test_any_ids_and_texts_are_indexed_or_refused(ids, text):
    from drag_rl.retrieval.documents import _documents

    try:
        documents = _documents(ids, [text] * len(ids), None)
    except InputError:
        return
    keys = [(document.doc_id, document.number) for document in documents]
    assert keys == sorted(set(keys)) and len(keys) == len(ids)
