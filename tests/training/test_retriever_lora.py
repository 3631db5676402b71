"""Which weights learn; an adapter is whole on any base, in PEFT and in our own loader."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

from drag_rl.errors import InputError
from drag_rl.retrieval.late.checkpoint import load_checkpoint
from drag_rl.retrieval.late.embedder import MultiVectorSettings
from drag_rl.retrieval.late.loading import load_encoder
from drag_rl.retrieval.late.saving import save_encoder
from drag_rl.training.retriever.lora import choose_weights, learning
from drag_rl.training.retriever.options import RetrieverOptions


def options(**values):
    return RetrieverOptions.from_mapping(values, "test")


def changed(encoder):
    """The encoder, each weight that learns moved a little, as by training."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in learning(encoder).values():
            weight.add_(torch.randn_like(weight) * 0.05)
    return encoder.eval()


def seen(encoder, pages):
    """Vectors of a page and a query."""
    vectors = encoder.encode_document(pages[:1]) + encoder.encode_query(["amber birch"])
    return torch.cat(vectors)


def test_an_adapter_is_of_the_language_layers_and_of_the_whole_projection(retriever):
    choose_weights(retriever, options())
    adapted = [name for name, module in retriever.named_modules() if isinstance(module, LoraLayer)]
    layers = retriever[0].model.config.text_config.num_hidden_layers
    assert len(adapted) == 7 * layers and not any("visual" in name for name in adapted)
    assert all("language_model" in name for name in adapted)
    names = learning(retriever)
    assert not any("visual" in name for name in names)
    assert [name for name in names if "lora" not in name] == [
        "0.model.base_model.model.custom_text_proj.modules_to_save.default.weight"
    ]
    config = retriever[0].model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (32, 32, 0.1)


def test_the_vision_tower_learns_where_it_is_to(retriever, untrained):
    choose_weights(retriever, options(lora={"r": 0}))
    assert learning(retriever) and not any("visual" in name for name in learning(retriever))
    choose_weights(retriever, options(lora={"r": 0}, train_vision_tower=True))
    assert len(learning(retriever)) == len([*retriever.parameters()])
    other = load_encoder(MultiVectorSettings(model=str(untrained), device="cpu"), trainable=True)
    choose_weights(other, options(train_vision_tower=True))
    towers = [name for name in learning(other) if "visual" in name]
    assert towers and all("modules_to_save" in name and "lora" not in name for name in towers)


@pytest.mark.parametrize("vision", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_adapter_says_the_same_wherever_it_is_loaded(retriever, untrained, symbol_pages, tmp_path, vision):
    choose_weights(retriever, options(train_vision_tower=vision, lora={"r": 4, "dropout": 0.0}))
    expected = seen(changed(retriever), symbol_pages)
    save_encoder(retriever, tmp_path / "adapter")
    for settings in (
        MultiVectorSettings(model=str(untrained), adapter=str(tmp_path / "adapter"), device="cpu"),
        MultiVectorSettings(model=str(tmp_path / "adapter"), device="cpu"),
    ):
        torch.testing.assert_close(seen(load_encoder(settings), symbol_pages), expected, atol=1e-6, rtol=1e-5)
    retriever[0].model = PeftModel.from_pretrained(
        load_checkpoint(untrained), str(tmp_path / "adapter")
    ).eval()
    torch.testing.assert_close(seen(retriever, symbol_pages), expected, atol=1e-6, rtol=1e-5)


def test_an_adapter_goes_on_learning_with_its_own_rank(retriever, untrained, tmp_path):
    choose_weights(retriever, options(lora={"r": 4}))
    save_encoder(retriever, tmp_path / "adapter")
    settings = MultiVectorSettings(model=str(untrained), adapter=str(tmp_path / "adapter"), device="cpu")
    again = load_encoder(settings, trainable=True)
    choose_weights(again, options(lora={"r": 32}))
    assert learning(again).keys() == learning(retriever).keys()
    assert again[0].model.peft_config["default"].r == 4
    with pytest.raises(InputError, match="train_vision_tower=true: the adapter has no vision tower"):
        choose_weights(again, options(train_vision_tower=True))


def test_weights_that_learn_are_float32_over_a_model_in_bfloat16(untrained):
    settings = MultiVectorSettings(model=str(untrained), device="cpu", dtype="bfloat16")
    encoder = load_encoder(settings, trainable=True)
    choose_weights(encoder, options())
    assert {weight.dtype for weight in learning(encoder).values()} == {torch.float32}
    frozen = {weight.dtype for weight in encoder.parameters() if not weight.requires_grad}
    assert torch.bfloat16 in frozen
