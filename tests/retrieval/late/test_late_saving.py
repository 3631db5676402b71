"""One checkpoint for all: what is saved and loaded is what was in memory, and an adapter is what is merged of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from late_adapter import adapted, make_adapter
from PIL import Image
from safetensors.torch import load_file

from drag_rl.errors import InputError
from drag_rl.retrieval.late import new_model
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.loading import load_encoder
from drag_rl.retrieval.late.new_model import create_retriever_model
from drag_rl.retrieval.late.saving import save_encoder


def load(model: Path, **options: Any) -> Any:
    return load_encoder(MultiVectorSettings(model=str(model), device="cpu", **options)).eval()


def seen(encoder: Any, page_images: list[Image.Image]) -> np.ndarray:
    pages = encoder.encode(page_images[:2], task="document")
    queries = encoder.encode(["one", "two words"], task="query")
    return np.concatenate([row.numpy() for row in (*pages, *queries)])


def test_saved_and_loaded_it_is_the_same(
    tiny_late_model: Path, page_images: list[Image.Image], tmp_path: Path
) -> None:
    encoder = load(tiny_late_model, max_visual_tokens=40)
    with torch.no_grad():
        encoder[0].model.custom_text_proj.weight.mul_(torch.linspace(0.5, 2, 128))
    save_encoder(encoder, tmp_path / "model")
    assert np.array_equal(
        seen(load(tmp_path / "model"), page_images), seen(encoder, page_images)
    )  # with its limit
    assert load_encoder(MultiVectorSettings(model=str(tmp_path / "model"))).encode(page_images[:1])[
        0
    ].shape == (36, 128)


def test_the_folder_is_a_checkpoint_of_the_agreed_form(tiny_late_model: Path, tiny_model: Path) -> None:
    config = json.loads((tiny_late_model / "config.json").read_text())
    assert (
        config["architectures"] == ["ColQwen3"]
        and config["model_type"] == "qwen3_vl"
        and config["dim"] == 128
    )
    weights = load_file(tiny_late_model / "model.safetensors")
    base = load_file(tiny_model / "model.safetensors")
    projection = weights.pop("custom_text_proj.weight")
    assert projection.shape == (128, 128)
    assert {f"model.{name}" for name in weights} == set(base) - {"lm_head.weight"}
    assert all(torch.equal(weight, base[f"model.{name}"]) for name, weight in weights.items())
    assert len(list(tiny_late_model.rglob("*.safetensors"))) == 1


def test_sentence_transformers_opens_the_folder(
    tiny_late_model: Path, page_images: list[Image.Image]
) -> None:
    """Its switch for code of others is for our module; without it, it refuses, where it might draw a projection."""
    from sentence_transformers import MultiVectorEncoder

    with pytest.raises(ValueError, match="ColQwen3Module"):
        MultiVectorEncoder(str(tiny_late_model), device="cpu")
    encoder = MultiVectorEncoder(str(tiny_late_model), device="cpu", trust_remote_code=True)
    assert np.array_equal(seen(encoder, page_images), seen(load(tiny_late_model), page_images))
    assert encoder.get_embedding_dimension() == 128 and encoder.max_seq_length == 32_768


def test_what_is_stored_in_bfloat16_stays_so(tiny_late_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    save_encoder(load(tiny_late_model, dtype="bfloat16"), tmp_path / "half")
    assert {weight.dtype for weight in load_file(tmp_path / "half" / "model.safetensors").values()} == {
        torch.bfloat16
    }
    again = MultiVectorEncoder(str(tmp_path / "half"), device="cpu", trust_remote_code=True)
    assert {weight.dtype for weight in again.parameters()} == {torch.bfloat16}
    assert load(tmp_path / "half").dtype == torch.float32  # on the CPU


def test_a_head_that_is_not_tied_is_not_missed(tiny_model: Path, tmp_path: Path) -> None:
    """vLLM would look for its weights."""
    from transformers import Qwen3VLForConditionalGeneration

    base = Qwen3VLForConditionalGeneration.from_pretrained(tiny_model)
    base.config.tie_word_embeddings = base.config.text_config.tie_word_embeddings = False
    untied = Qwen3VLForConditionalGeneration(base.config)
    untied.save_pretrained(tmp_path / "base")
    from transformers import AutoProcessor

    AutoProcessor.from_pretrained(tiny_model).save_pretrained(tmp_path / "base")
    assert "lm_head.weight" in load_file(tmp_path / "base" / "model.safetensors")
    create_retriever_model(str(tmp_path / "base"), tmp_path / "late", dim=16)
    config = json.loads((tmp_path / "late" / "config.json").read_text())
    assert config["tie_word_embeddings"] and config["text_config"]["tie_word_embeddings"]
    assert load(tmp_path / "late").get_embedding_dimension() == 16


def test_a_seed_draws_the_projection(
    tiny_model: Path, tiny_late_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, same in ((0, True), (1, False)):
        out = tmp_path / str(seed)
        assert create_retriever_model(str(tiny_model), out, seed=seed, max_visual_tokens=64)
        one, other = (
            load_file(folder / "model.safetensors")["custom_text_proj.weight"]
            for folder in (out, tiny_late_model)
        )
        assert torch.equal(one, other) is same
        new_model._main(base=str(tiny_model), out=out, seed=seed, max_visual_tokens=64)
        assert capsys.readouterr().out == f"{out}: up to date\n"
    with pytest.raises(InputError, match="is a retriever model already"):
        create_retriever_model(str(tiny_late_model), tmp_path / "again")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="mine"):
        create_retriever_model(str(tiny_model), tmp_path / "mine")


def test_an_adapter_saved_and_loaded_is_the_same_and_so_is_what_it_is_merged_to(
    tiny_late_model: Path, page_images: list[Image.Image], tmp_path: Path
) -> None:
    encoder = load(tiny_late_model)
    plain = seen(encoder, page_images)
    encoder[0].model = adapted(encoder[0].model)
    expected = seen(encoder, page_images)
    assert np.abs(expected - plain).max() > 0.1

    save_encoder(encoder, tmp_path / "adapter")
    names = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    assert np.array_equal(
        seen(load(tiny_late_model, adapter=str(tmp_path / "adapter")), page_images), expected
    )
    assert np.array_equal(seen(load(tmp_path / "adapter"), page_images), expected)  # it names its base

    save_encoder(encoder, tmp_path / "merged", merge=True)
    merged = load(tmp_path / "merged")
    assert type(merged[0].model).__name__ == "ColQwen3"
    assert np.abs(seen(merged, page_images) - expected).max() < 1e-5


def test_drag_merge_merges_an_adapter_of_a_retriever(
    tiny_model: Path, page_images: list[Image.Image], tmp_path: Path
) -> None:
    """Of a base model without a projection, too: the adapter brings it."""
    from drag_rl.training.merge import merge_adapter

    adapter = make_adapter(tiny_model, tmp_path / "adapter", new_projection=24)
    merged = load(merge_adapter(adapter, tmp_path / "merged"))
    expected = seen(load(tiny_model, adapter=str(adapter)), page_images)
    assert np.abs(seen(merged, page_images) - expected).max() < 1e-5 and expected.shape[1] == 24


def test_trainings_go_on_from_what_the_trainer_saves(
    tiny_late_model: Path, page_images: list[Image.Image], tmp_path: Path
) -> None:
    """sentence-transformers loads a checkpoint of its own, and copies its weights by their names."""
    encoder = load_encoder(MultiVectorSettings(model=str(tiny_late_model), device="cpu"), trainable=True)
    encoder[0].model = adapted(encoder[0].model)
    expected = seen(encoder, page_images)
    encoder.save_pretrained(str(tmp_path / "checkpoint"))
    classes = {f"{type(module).__module__}.{type(module).__name__}": type(module) for module in encoder}
    again = type(encoder)._load_with_module_classes(str(tmp_path / "checkpoint"), classes, device="cpu")
    assert set(again.state_dict()) == set(encoder.state_dict())
    assert np.array_equal(seen(again.eval(), page_images), expected)
    learning = {name for name, weight in again.named_parameters() if weight.requires_grad}
    assert learning and all("lora_" in name or "custom_text_proj" in name for name in learning)


def test_a_folder_of_the_users_is_left_alone(tiny_late_model: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=str(tmp_path)):
        save_encoder(load(tiny_late_model), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_colpali_engine_beside_it_changes_nothing(
    tiny_late_model: Path, page_images: list[Image.Image], tmp_path: Path
) -> None:
    """Imported, it renames weights of every Qwen3-VL that transformers loads or saves."""
    from colpali_lab import colpali_imported

    with colpali_imported():
        encoder = load(tiny_late_model)
        save_encoder(encoder, tmp_path / "model")
        one, other = (
            load_file(folder / "model.safetensors") for folder in (tmp_path / "model", tiny_late_model)
        )
        assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)
        assert np.array_equal(seen(load(tmp_path / "model"), page_images), seen(encoder, page_images))


def test_a_model_that_only_sentence_transformers_knows_is_opened_by_it(
    tiny_model: Path, page_images: list[Image.Image], tmp_path: Path
) -> None:
    from sentence_transformers import MultiVectorEncoder

    from drag_rl.retrieval.late.local_model import LocalModel

    torch.manual_seed(0)
    foreign = MultiVectorEncoder(
        str(tiny_model), device="cpu", local_files_only=True, prompts={"query": "find: "}
    )
    foreign.save_pretrained(str(tmp_path / "foreign"))
    settings = MultiVectorSettings(model=str(tmp_path / "foreign"), device="cpu")
    model = LocalModel(settings)
    pages = model.embed_pages(page_images)
    assert [page.grid for page in pages] == [(8, 8), (6, 9), (7, 3), (9, 6), (2, 2)] and model.width == 128
    queries = model.embed_queries(["one", "two words"])
    expected = foreign.encode_query(["one", "two words"], convert_to_numpy=True)
    assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(queries, expected, strict=True))
    assert len(model.query_tokens("two words")) == len(queries[1])
    with pytest.raises(InputError, match="no model of ours to adapt"):
        LocalModel(
            MultiVectorSettings(
                model=str(tmp_path / "foreign"),
                adapter=str(make_adapter(tiny_model, tmp_path / "a", new_projection=8)),
            )
        ).embed_queries(["one"])
