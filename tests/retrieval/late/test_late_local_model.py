"""A model in this process keeps what the seam of embedders promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from late_adapter import make_adapter
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval.late import model_files
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder
from drag_rl.retrieval.late.local_model import LocalModel

GRIDS = [(8, 8), (6, 9), (7, 3), (9, 6), (2, 2)]


@pytest.fixture(scope="module")
def model(late_settings: MultiVectorSettings) -> LocalModel:
    found = open_multi_vector_embedder(late_settings)
    assert isinstance(found, LocalModel) and found is open_multi_vector_embedder(late_settings)
    return found


def test_pages_come_in_their_order_with_their_grids(
    model: LocalModel, page_images: list[Image.Image]
) -> None:
    together = model.embed_pages(page_images)
    assert [page.grid for page in together] == GRIDS
    for image, page in zip(page_images, together, strict=True):
        (alone,) = model.embed_pages([image])
        assert page.vectors.dtype == np.float32 and page.vectors.shape == (np.prod(page.grid), model.width)
        assert np.abs(alone.vectors - page.vectors).max() < 1e-5
        assert model.visual_tokens(*image.size) == len(page.vectors)
    assert model.embed_pages([]) == []


def test_a_vector_is_of_its_place_on_the_page(model: LocalModel) -> None:
    """What lies in a corner alone changes the vectors of that corner first: attention looks back, not ahead."""
    page = Image.new("RGB", (256, 128), "white")
    marked = page.copy()
    marked.paste("black", (0, 96, 32, 128))  # row 3, column 0
    (plain,), (other,) = model.embed_pages([page]), model.embed_pages([marked])
    assert plain.grid == (4, 8)
    changed = np.abs(plain.vectors - other.vectors).max(1).reshape(plain.grid)
    assert np.unravel_index(changed.argmax(), plain.grid) == (3, 0)


def test_batches_are_of_a_bounded_number_of_tokens(model: LocalModel) -> None:
    tokens = [64, 4, 64, 4, 64, 30, 30, 30, 4]
    batches = list(model._batches(tokens))
    assert sorted(number for batch in batches for number in batch) == list(range(9))
    assert [len(batch) for batch in batches] == [2, 2, 4, 1]  # 128 tokens: two pages of the largest size
    assert all(len(batch) * max(tokens[number] for number in batch) <= 128 for batch in batches)


def test_queries_come_in_their_order_with_their_tokens(model: LocalModel) -> None:
    texts = ["a longer query than the others", "one", "", "<|image_pad|><|vision_start|>"]
    for text, vectors in zip(texts, model.embed_queries(texts), strict=True):
        assert vectors.shape == (len(model.query_tokens(text)), 128) and vectors.dtype == np.float32
        assert np.abs(model.embed_queries([text])[0] - vectors).max() < 1e-5
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert "".join(model.query_tokens("stop the engine")) == "stoptheengine"


def test_threads_share_it(model: LocalModel, page_images: list[Image.Image]) -> None:
    expected = model.embed_pages(page_images[:2])
    found: list[bool] = []

    def ask() -> None:
        pages = model.embed_pages(page_images[:2])
        model.embed_queries(["one"])
        found.append(all(np.array_equal(a.vectors, b.vectors) for a, b in zip(pages, expected, strict=True)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_it_is_known_by_all_that_its_vectors_depend_on(tiny_late_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_late_model, tmp_path / "adapter")
    ways = (
        {},
        {"max_visual_tokens": 16},
        {"dtype": "bfloat16"},
        {"load_in_4bit": True},
        {"adapter": str(adapter)},
    )
    models = [LocalModel(MultiVectorSettings(model=str(tiny_late_model), **way)) for way in ways]
    assert len({model.fingerprint for model in models}) == len(ways)
    same = LocalModel(MultiVectorSettings(model=str(tiny_late_model), batch_size=3, attention="eager"))
    assert same.fingerprint == models[0].fingerprint
    assert all(model.width == 128 for model in models)


def test_it_is_found_and_known_without_torch(tiny_late_model: Path) -> None:
    """Opening an index takes no seconds of imports: what scores pages, and the model until a query is embedded."""
    code = (
        "import sys, drag_rl.retrieval.late.opening as opening\n"
        "from drag_rl.retrieval.late.embedder import MultiVectorSettings\n"
        f"model = opening.open_multi_vector_embedder(MultiVectorSettings(model={str(tiny_late_model)!r}))\n"
        "print(model.width, model.fingerprint, {'torch', 'transformers', 'sentence_transformers'} & {*sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = LocalModel(MultiVectorSettings(model=str(tiny_late_model)))
    assert said.split(maxsplit=2) == ["128", here.fingerprint, "set()\n"]


def test_packages_that_are_missing_are_named(tiny_late_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(InputError, match=r"needs more packages \(no-such-package\): pip install 'drag-rl"):
        LocalModel(MultiVectorSettings(model=str(tiny_late_model)))


def test_vectors_that_are_no_numbers_are_refused(tiny_late_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_late_model, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    weights["custom_text_proj.weight"][0, 0] = np.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    broken = LocalModel(MultiVectorSettings(model=str(folder), device="cpu"))
    with pytest.raises(InputError, match="gives vectors that are no numbers"):
        broken.embed_queries(["one"])


def test_a_model_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="no/such"):
        LocalModel(MultiVectorSettings(model="no/such"))
