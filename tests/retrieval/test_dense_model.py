"""A model in this process embeds as sentence-transformers itself does, in batches as alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from dense_lab import small_model

from drag_rl.errors import InputError
from drag_rl.retrieval.dense.embedder import EmbedderSettings, open_embedder
from drag_rl.retrieval.dense.families import family_of
from drag_rl.retrieval.dense.model_files import model_fingerprint

TEXTS = [
    "Saving a workspace.",
    "Größe",
    "a longer passage about packages, files and their vectors " * 5,
    "首都",
]


def test_models_of_a_family_are_known_by_name() -> None:
    assert family_of("Qwen/Qwen3-Embedding-8B").pooling == "lasttoken"
    assert family_of("/models/bge-m3/").pooling == "cls"
    assert family_of("intfloat/e5-large-v2").page_prompt == "passage: "
    assert family_of("intfloat/multilingual-e5-large-instruct").query_prompt == ""


def test_a_model_is_known_by_its_files_and_by_what_is_around_a_text(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("one")
    first = model_fingerprint(tmp_path, prompts={"query": ""})
    (tmp_path / "README.md").write_text("two")
    assert model_fingerprint(tmp_path, prompts={"query": ""}) == first
    assert model_fingerprint(tmp_path, prompts={"query": "query: "}) != first
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert model_fingerprint(tmp_path, prompts={"query": ""}) != first


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no config"):
        open_embedder(EmbedderSettings(model=str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "config_sentence_transformers.json").write_text("[")
    with pytest.raises(InputError, match=r"config_sentence_transformers.json: cannot be read"):
        open_embedder(EmbedderSettings(model=str(tmp_path)))


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers_in_batches_and_alone() -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(small_model(), device="cpu")
    embedder = open_embedder(EmbedderSettings(model=small_model(), device="cpu", batch_size=3))
    assert embedder is open_embedder(EmbedderSettings(model=small_model(), device="cpu", batch_size=3))
    together = embedder.embed(TEXTS, "page")
    assert together == pytest.approx(reference.encode(TEXTS, normalize_embeddings=True), abs=1e-5)
    alone = np.concatenate([embedder.embed([text], "page") for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.slow
def test_pages_are_cut_by_the_models_own_tokens() -> None:
    embedder = open_embedder(EmbedderSettings(model=small_model(), device="cpu", max_tokens=64))
    text = "The vectors of workspaces, incomprehensibilities and packages.\n" * 40
    cuts = embedder.cuts(text, 0)
    passages = [text[begin:end] for begin, end in cuts]
    assert "".join(passages) == text and len(cuts) > 5
    from sentence_transformers import SentenceTransformer

    tokenizer = SentenceTransformer(small_model(), device="cpu").tokenizer
    lengths = [len(tokenizer(passage)["input_ids"]) for passage in passages]
    assert max(lengths) <= 64 and min(lengths) > 0.6 * max(lengths)
    assert embedder.cuts("short", 0) == [(0, 5)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pooling"), [("plain", "mean"), ("bge-m3", "cls"), ("Qwen3-Embedding-tiny", "lasttoken")]
)
def test_a_plain_transformer_is_pooled_as_its_family_is(tmp_path: Path, name: str, pooling: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer, Qwen3Config, Qwen3Model

    folder = tmp_path / name
    folder.mkdir()
    for path in Path(small_model()).iterdir():
        if path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json"):
            shutil.copy(path, folder)
    if pooling == "lasttoken":  # padded on the left, where BERT's absolute positions would not do
        torch.manual_seed(0)
        size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
        heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
        Qwen3Model(Qwen3Config(vocab_size=30522, **size, **heads)).save_pretrained(folder)
    embedder = open_embedder(
        EmbedderSettings(model=str(folder), device="cpu", query_prompt="", page_prompt="title: ")
    )
    found = embedder.embed(TEXTS, "page")
    tokenizer, body = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    for vector, text in zip(found, TEXTS, strict=True):
        with torch.no_grad():
            states = body(**tokenizer(f"title: {text}", return_tensors="pt")).last_hidden_state[0]
        pooled = {"mean": states.mean(0), "cls": states[0], "lasttoken": states[-1]}[pooling].numpy()
        assert vector == pytest.approx(pooled / np.linalg.norm(pooled), abs=1e-4)


@pytest.mark.slow
def test_a_models_own_prompts_go_before_those_of_its_family(tmp_path: Path) -> None:
    folder = tmp_path / "e5-base-v2"
    shutil.copytree(small_model(), folder)
    about = folder / "config_sentence_transformers.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "prompts": {"query": "ask: "}}))
    own = open_embedder(EmbedderSettings(model=str(folder), device="cpu"))
    plain = open_embedder(
        EmbedderSettings(model=small_model(), device="cpu", query_prompt="", page_prompt="")
    )
    assert own.embed(["save"], "query") == pytest.approx(plain.embed(["ask: save"], "query"), abs=1e-5)
    assert own.embed(["save"], "page") == pytest.approx(plain.embed(["passage: save"], "page"), abs=1e-5)
    assert own.fingerprint != plain.fingerprint
