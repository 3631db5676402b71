"""Our ColQwen3 embeds as colpali-engine's with the same weights, and as Qwen3-VL itself; in batches as alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from late_adapter import make_adapter
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.loading import load_encoder

TEXTS = [
    "Saving a workspace.",
    "Größe",
    "a longer question about packages, files and pages, " * 3 + "say",
    "首都",
    "",
]


@pytest.fixture(scope="module")
def encoder(late_settings: MultiVectorSettings) -> Any:
    return load_encoder(late_settings).eval()


@pytest.fixture(scope="module")
def reference(tiny_late_model: Path) -> tuple[Any, Any]:
    """colpali-engine's model, of our width and without its bias, and its processor, from our folder."""
    from colpali_lab import colpali_imported  # before colpali-engine itself

    from colpali_engine.models import ColQwen3, ColQwen3Processor  # isort: skip

    class Narrow(ColQwen3):
        def __init__(self, config: Any, **options: Any) -> None:
            super().__init__(config, **options)
            self.custom_text_proj = torch.nn.Linear(config.text_config.hidden_size, config.dim, bias=False)

    with colpali_imported():
        model, found = Narrow.from_pretrained(tiny_late_model, dtype=torch.float32, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    return model.eval(), ColQwen3Processor.from_pretrained(tiny_late_model, max_num_visual_tokens=64)


def vectors(encoder: Any, inputs: list[Any], task: str) -> list[np.ndarray]:
    return [row.numpy() for row in encoder.encode(inputs, task=task, batch_size=len(inputs))]


def difference(ones: list[np.ndarray], others: list[np.ndarray]) -> float:
    assert [one.shape for one in ones] == [other.shape for other in others]
    return max(float(np.abs(one - other).max()) for one, other in zip(ones, others, strict=True))


def test_vectors_are_those_of_colpali_engine(
    encoder: Any, reference: tuple[Any, Any], page_images: list[Image.Image]
) -> None:
    model, processor = reference
    with torch.no_grad():
        batch = processor.process_images(page_images)
        kept = batch["input_ids"] == model.config.image_token_id
        pages = [row[keep].numpy() for row, keep in zip(model(**batch), kept, strict=True)]
        texts = [text + processor.query_augmentation_token * 10 for text in TEXTS]
        batch = processor.process_texts(texts)
        kept = batch["attention_mask"].bool()
        queries = [row[keep].numpy() for row, keep in zip(model(**batch), kept, strict=True)]
    assert difference(vectors(encoder, page_images, "document"), pages) < 1e-5
    assert difference(vectors(encoder, TEXTS, "query"), queries) < 1e-5


def test_vectors_are_a_projection_of_qwen3_vl(
    encoder: Any, tiny_late_model: Path, tiny_model: Path, page_images: list[Image.Image]
) -> None:
    """Of the base model as transformers loads it, so no weight of it has changed, DeepStack's among them."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    weight = load_file(tiny_late_model / "model.safetensors")["custom_text_proj.weight"]
    qwen = AutoModel.from_pretrained(tiny_model, dtype=torch.float32).eval()
    for inputs, task in ((page_images[:1], "document"), (TEXTS[:1], "query")):
        batch = encoder.preprocess(inputs, task=task)
        with torch.no_grad():
            hidden = qwen(**batch).last_hidden_state
        expected = torch.nn.functional.normalize(hidden @ weight.T, dim=-1)[0]
        if task == "document":
            expected = expected[batch["input_ids"][0] == qwen.config.image_token_id]
        assert difference(vectors(encoder, inputs, task), [expected.numpy()]) < 1e-6


def test_deepstack_is_kept(encoder: Any, page_images: list[Image.Image]) -> None:
    seen = vectors(encoder, page_images[:1], "document")
    mergers = encoder[0].model.visual.deepstack_merger_list
    weights = [merger.linear_fc2.weight for merger in mergers]
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.zero_()
        without = vectors(encoder, page_images[:1], "document")
        for weight, before in zip(weights, kept, strict=True):
            weight.copy_(before)
    assert difference(seen, without) > 0.01
    assert difference(seen, vectors(encoder, page_images[:1], "document")) == 0


@pytest.mark.parametrize("task", ["document", "query"])
def test_a_batch_of_n_is_n_batches_of_one(encoder: Any, page_images: list[Image.Image], task: str) -> None:
    inputs: list[Any] = page_images if task == "document" else TEXTS
    alone = [vectors(encoder, [one], task)[0] for one in inputs]
    assert difference(vectors(encoder, inputs, task), alone) < 1e-5
    assert difference(vectors(encoder, inputs[::-1], task)[::-1], alone) < 1e-5
    assert encoder[0].model.rope_deltas is None


def test_a_page_has_a_vector_of_length_one_for_each_image_token(
    encoder: Any, page_images: list[Image.Image]
) -> None:
    found = vectors(encoder, page_images, "document")
    assert [row.shape for row in found] == [(64, 128), (54, 128), (21, 128), (54, 128), (4, 128)]
    for row in found:
        assert np.allclose(np.linalg.norm(row, axis=1), 1, atol=1e-5)
    assert not np.allclose(found[1], found[3], atol=0.01)


def test_padding_has_vectors_of_zeros(encoder: Any) -> None:
    batch = encoder.preprocess(TEXTS, task="query")
    padding = batch["attention_mask"] == 0
    with torch.no_grad():
        out = encoder(batch, task="query")["token_embeddings"]
    assert padding.any() and not out[padding].any()


def test_pages_and_queries_do_not_mix(encoder: Any, page_images: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="not of Image and str"):
        encoder[0].preprocess([TEXTS[0], page_images[0]], task="document")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_each_kind_of_attention_gives_the_same(
    encoder: Any, late_settings: MultiVectorSettings, page_images: list[Image.Image], attention: Any
) -> None:
    other = load_encoder(MultiVectorSettings(model=late_settings.model, device="cpu", attention=attention))
    assert other[0].model.config._attn_implementation == attention
    expected = vectors(encoder, page_images[:2], "document")
    assert difference(vectors(other, page_images[:2], "document"), expected) < 1e-5


def test_attention_that_is_not_there_is_refused(late_settings: MultiVectorSettings) -> None:
    with pytest.raises(InputError, match=r"cannot be loaded: .*[Ff]lash"):
        load_encoder(
            MultiVectorSettings(model=late_settings.model, device="cpu", attention="flash_attention_2")
        )


def test_bfloat16_sees_nearly_the_same(
    encoder: Any, late_settings: MultiVectorSettings, page_images: Any
) -> None:
    narrow = load_encoder(MultiVectorSettings(model=late_settings.model, device="cpu", dtype="bfloat16"))
    seen = [row.float().numpy() for row in narrow.encode(page_images[:2], task="document")]
    expected = vectors(encoder, page_images[:2], "document")
    cosines = [(one * other).sum(1).mean() for one, other in zip(seen, expected, strict=True)]
    assert narrow.dtype == torch.bfloat16 and min(cosines) > 0.99


def test_weights_in_four_bits_load_on_the_cpu(
    encoder: Any, late_settings: MultiVectorSettings, page_images: list[Image.Image], tmp_path: Path
) -> None:
    from drag_rl.retrieval.late.saving import save_encoder

    small = load_encoder(MultiVectorSettings(model=late_settings.model, device="cpu", load_in_4bit=True))
    model = small[0].model
    assert type(model.language_model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert type(model.custom_text_proj) is torch.nn.Linear
    assert type(model.visual.blocks[0].mlp.linear_fc1) is torch.nn.Linear
    expected = vectors(encoder, page_images[:2], "document")
    cosines = [
        (one * other).sum(1).mean()
        for one, other in zip(vectors(small, page_images[:2], "document"), expected, strict=True)
    ]
    assert min(cosines) > 0.9
    with pytest.raises(InputError, match="4 bits cannot be saved"):
        save_encoder(small, tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
def test_an_adapter_goes_onto_weights_in_four_bits(
    late_settings: MultiVectorSettings, page_images: list[Image.Image], tmp_path: Path
) -> None:
    from drag_rl.retrieval.late.saving import save_encoder

    adapter = str(make_adapter(Path(late_settings.model), tmp_path / "adapter"))
    whole, small = (
        load_encoder(
            MultiVectorSettings(model=late_settings.model, adapter=adapter, device="cpu", load_in_4bit=less)
        )
        for less in (False, True)
    )
    expected = vectors(whole, page_images[:1], "document")
    seen = vectors(small, page_images[:1], "document")
    assert (seen[0] * expected[0]).sum(1).mean() > 0.9
    with pytest.raises(InputError, match="4 bits cannot be saved or merged"):
        save_encoder(small, tmp_path / "merged", merge=True)
    save_encoder(small, tmp_path / "again")
    again = load_encoder(
        MultiVectorSettings(model=late_settings.model, adapter=str(tmp_path / "again"), device="cpu")
    )
    assert difference(vectors(again, page_images[:1], "document"), expected) < 1e-6
