"""An index of page images that does not fit its model, pages or options is refused in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from late_lab import MODEL, indexed, write_pages
from tile_index import TEXTS, found_by

from drag_rl.errors import InputError
from drag_rl.retrieval import build_index, open_retriever
from drag_rl.retrieval.late.store import STARTS, Store


@pytest.mark.usefixtures("tiles")
def test_an_index_is_of_the_images_as_they_are(tmp_path: Path) -> None:
    """The texts are the same, and so is the fingerprint of the pages."""
    indexed(tmp_path, TEXTS)
    build_index(tmp_path / "pages", tmp_path / "bm25")
    build_index(None, tmp_path / "two", "rerank", part=(str(tmp_path / "bm25"), str(tmp_path / "index")))
    for name in ("index", "two"):
        assert open_retriever(tmp_path / name, tmp_path / "pages").fingerprint
    redactions = {"page_id": "dog#2", "boxes": [[0, 0, 32, 32]]}
    (tmp_path / "pages" / "redactions.jsonl").write_text(json.dumps(redactions) + "\n")
    for name in ("index", "two"):
        with pytest.raises(InputError, match=r"was not made from the page images of .*pages as they are now"):
            open_retriever(tmp_path / name, tmp_path / "pages")
    _, built = build_index(tmp_path / "pages", tmp_path / "index", "late", model=MODEL, pool=1)
    assert built
    assert found_by(open_retriever(tmp_path / "index", tmp_path / "pages"), "yellow")[0] != "dog#2"


@pytest.mark.usefixtures("tiles")
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    indexed(tmp_path, TEXTS)
    index = tmp_path / "index"
    manifest = json.loads((index / "manifest.json").read_text())
    manifest["inputs"]["model"] = "another"
    kept = (index / "manifest.json").read_text()
    (index / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="tiles is not the model that saw its pages; run drag index again"):
        open_retriever(index)
    (index / "manifest.json").write_text(kept)
    starts = (index / STARTS).read_bytes()
    (index / STARTS).write_bytes(starts[:-8] + bytes(8))
    with pytest.raises(InputError, match=r"image_starts.npy: truncated or changed; run drag index again"):
        open_retriever(index)
    with pytest.raises(InputError, match="its vectors do not fit its pages; run drag index again"):
        Store.open(index, len(TEXTS))
    (index / STARTS).write_bytes(starts)
    (tmp_path / "pages" / "manifest.json").unlink()
    with pytest.raises(InputError, match="its folder of pages is gone, so that page images cannot be shown"):
        open_retriever(index).page_image("cat#1")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "--model is missing"),
        ({"model": MODEL, "pool": 0}, "--pool must be 1 or more, not 0"),
        ({"model": MODEL, "rescore_ratio": 0}, "--rescore-ratio must be 1 or more, not 0"),
        (
            {"model": MODEL, "prefilter": "magic"},
            "--prefilter 'magic' is not known; choose hamming, asymmetric",
        ),
        ({"model": MODEL, "max_visual_tokens": -1}, "--max-visual-tokens must be 0 or more, not -1"),
        ({"model": MODEL, "device": "cpu,"}, "--device cpu,: give names with a comma between two"),
        ({"model": MODEL, "search_device": "abacus"}, "--search-device abacus: "),
    ],
)
@pytest.mark.usefixtures("tiles")
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    write_pages(tmp_path / "pages", {"a#1": "fox"})
    with pytest.raises(InputError, match="^" + reason):
        build_index(tmp_path / "pages", tmp_path / "index", "late", **options)
        found_by(open_retriever(tmp_path / "index"), "fox")


@pytest.mark.usefixtures("tiles")
def test_pages_without_images_are_refused(tmp_path: Path) -> None:
    from tiny_corpus import write_pages as write_texts

    write_texts(tmp_path / "pages", ["fox"])
    with pytest.raises(InputError, match=r"--kind late looks at page images: .*made from an OCR file"):
        build_index(tmp_path / "pages", tmp_path / "index", "late", model=MODEL)
