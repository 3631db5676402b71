"""What every kind of model that is trained keeps to, and what a reader refuses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reader_lab import write_reader

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder
from drag_rl.training.retriever.lora import learning
from drag_rl.training.retriever.loss import LateInteractionLoss
from drag_rl.training.retriever.options import LossOptions, RetrieverOptions
from drag_rl.training.retriever.reader_module import ReaderEncoder
from drag_rl.training.retriever.task import Task
from drag_rl.training.retriever.trainable import TRAINABLE, Trainable, kind_of

CELLS = 64
QUERIES = ["amber birch", "How do I read a table?", "zebra", "?!"]


@dataclass
class Kind:
    """A way of training a model: its folder and the options of it."""

    model: Path
    options: dict[str, Any]

    def trainable(self, **task: Any) -> Trainable:
        what = {"model": str(self.model), "adapter": None, "pages": Path(), "train": Path(), "val": None}
        options = RetrieverOptions.from_mapping(
            self.options | {"max_pixels": CELLS * 1024, "bf16": False}, "test"
        )
        return TRAINABLE[kind_of(str(self.model))](Task(**what | {"run": Path()} | task), options)


@pytest.fixture(scope="module")
def reader_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reader(tmp_path_factory.mktemp("reader") / "model")


@pytest.fixture(params=["reader", "colqwen3"])
def kind(request: pytest.FixtureRequest, reader_folder: Path) -> Kind:
    if request.param == "reader":
        return Kind(reader_folder, {"lora": {"r": 0}, "train_vision_tower": True})
    return Kind(request.getfixturevalue("untrained"), {"lora": {"r": 4, "dropout": 0.0}})


def pages() -> list[Image.Image]:
    """Of several sizes, one larger than is read, one blank but for a corner."""
    drawn = np.random.default_rng(0)
    sizes = ((160, 224), (330, 200), (64, 40))
    inked = [Image.fromarray(drawn.integers(0, 256, (tall, wide, 3), np.uint8)) for wide, tall in sizes]
    blank = Image.new("RGB", (256, 256), "white")
    blank.paste(inked[-1])
    return [*inked, blank]


def by_training(encoder: Any, inputs: list[Any], task: str) -> list[torch.Tensor]:
    """The vectors of a batch, with gradients."""
    seen = encoder(encoder.preprocess(inputs, task=task), task=task)
    kept = zip(seen["token_embeddings"], seen["attention_mask"].bool(), strict=True)
    return [vectors[mask] for vectors, mask in kept]


def by_searching(model: Path) -> list[np.ndarray]:
    """The vectors of pages and queries as ``drag index --model`` and its searches make them."""
    settings = MultiVectorSettings(model=str(model), device="cpu", dtype="float32", max_visual_tokens=CELLS)
    embedder = open_multi_vector_embedder(settings)
    return [page.vectors for page in embedder.embed_pages(pages())] + embedder.embed_queries(QUERIES)


def loaded(trainable: Trainable) -> Any:
    torch.manual_seed(0)
    encoder = trainable.load("cpu")
    trainable.choose_weights(encoder)
    return encoder


def test_vectors_with_gradients_are_those_of_searching(kind: Kind) -> None:
    encoder = loaded(kind.trainable())
    found = by_training(encoder, pages(), "document") + by_training(encoder, QUERIES, "query")
    for vectors, expected in zip(found, by_searching(kind.model), strict=True):
        assert vectors.requires_grad
        np.testing.assert_allclose(vectors.detach().numpy(), expected, atol=2e-6)
    sum(vectors[:, 0].sum() for vectors in found).backward()
    assert all(weight.grad is not None for weight in learning(encoder).values())


def test_what_is_saved_gives_the_vectors_that_were_trained(kind: Kind, tmp_path: Path) -> None:
    trainable = kind.trainable()
    encoder = loaded(trainable)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in learning(encoder).values():
            weight.add_(torch.randn_like(weight) * 0.02)
    trained = by_training(encoder.eval(), pages(), "document") + by_training(encoder, QUERIES, "query")
    trainable.save(encoder, tmp_path / trainable.result)
    for vectors, found in zip(trained, by_searching(tmp_path / trainable.result), strict=True):
        np.testing.assert_allclose(found, vectors.detach().numpy(), atol=2e-6)
    trainable.save(encoder, tmp_path / trainable.result)
    (tmp_path / trainable.result / "mine").touch()
    with pytest.raises(InputError, match="mine"):
        trainable.save(encoder, tmp_path / trainable.result)


def test_some_weights_that_learn_have_a_rate_of_their_own(kind: Kind) -> None:
    import re

    trainable = kind.trainable()
    apart = [name for name in learning(loaded(trainable)) if re.search(trainable.apart, f"model.{name}")]
    assert apart


def test_gradients_do_not_depend_on_how_memory_is_saved(kind: Kind) -> None:
    """GradCache, over a forward pass that is made again for the backward pass."""
    found = []
    for rows in (0, 2):
        encoder = loaded(kind.trainable())
        if rows:
            encoder.gradient_checkpointing_enable({"use_reentrant": False})
        columns = [encoder.preprocess(QUERIES, task="query"), encoder.preprocess(pages(), task="document")]
        loss = LateInteractionLoss(encoder, LossOptions(temperature=0.1), mini_batch_size=rows)(columns)
        loss.backward()
        found.append({name: weight.grad for name, weight in learning(encoder).items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-5, rtol=1e-3, msg=name)


def test_the_words_of_a_reader_learn_alone_where_the_tower_does_not(reader_folder: Path) -> None:
    assert [*learning(loaded(Kind(reader_folder, {"lora": {"r": 0}}).trainable()))] == [
        "0.reader.words.table.weight"
    ]


def test_a_reader_remembers_few_tiles_where_it_is_to(reader_folder: Path) -> None:
    """What a page of many tiles keeps for the backward pass is next to nothing: its pixels and its vectors."""
    kept = []
    for recomputes in (False, True):
        encoder = loaded(Kind(reader_folder, {"lora": {"r": 0}, "train_vision_tower": True}).trainable())
        assert isinstance(encoder, ReaderEncoder)
        if recomputes:
            encoder.gradient_checkpointing_enable()
        sizes: list[int] = []

        def count(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            by_training(encoder, pages(), "document")
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 10


@pytest.mark.parametrize(
    ("options", "task", "says"),
    [
        (
            {"lora": {"r": 8}},
            {},
            "lora.r=8: a reader is trained as a whole, without an adapter; set lora.r=0",
        ),
        ({"attention": "eager"}, {}, "attention=eager: a reader has attention of its own"),
        ({}, {"adapter": "mine"}, "a reader takes no --adapter"),
    ],
    ids=["lora", "attention", "adapter"],
)
def test_what_a_reader_cannot_be_trained_by_is_one_line(
    reader_folder: Path, options: dict[str, Any], task: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError) as error:
        Kind(reader_folder, {"lora": {"r": 0}} | options).trainable(**task)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_folder_with_half_a_reader_is_refused(reader_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words.safetensors").write_bytes((reader_folder / "words.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"there are no weights in .*scripts/train_reader\.sh"):
        Kind(tmp_path, {"lora": {"r": 0}}).trainable()
