"""Which weights of a retriever learn: an adapter of the language layers and the whole projection, or all."""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from sentence_transformers import MultiVectorEncoder

from drag_rl.errors import InputError
from drag_rl.retrieval.late.model_files import PROJECTION
from drag_rl.training.retriever.options import RetrieverOptions

LANGUAGE_LAYERS = r"(?!.*visual).*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""The linear layers that are adapted, by their whole names: those of attention and MLP of the language layers."""
VISION = "visual"
WHOLE = "modules_to_save"
"""What PEFT calls modules of which an adapter has a copy that learns as a whole."""


def choose_weights(encoder: MultiVectorEncoder, options: RetrieverOptions) -> None:
    """Give the encoder an adapter where it is to have one, and say of every weight whether it learns.

    An adapter that the encoder has already goes on learning, with its own rank. Weights that learn are float32, over a
    model in bfloat16 too: small steps would be lost in the rounding. Raises ``InputError`` for a vision tower that is
    to learn beside an adapter that does not hold it.
    """
    module = encoder[0]
    if options.lora.r and not isinstance(module.model, PeftModel):
        module.model = get_peft_model(module.model, lora_config(options))
    adapted = isinstance(module.model, PeftModel)
    sees = False
    for name, weight in module.named_parameters():
        if VISION in name.split("."):
            weight.requires_grad = options.train_vision_tower and (not adapted or WHOLE in name)
            sees = sees or weight.requires_grad
        elif not adapted:
            weight.requires_grad = True
        if weight.requires_grad:
            weight.data = weight.data.to(torch.float32)
    if options.train_vision_tower and not sees:
        raise InputError(
            "train_vision_tower=true: the adapter has no vision tower; train without, or a new adapter"
        )


def lora_config(options: RetrieverOptions) -> LoraConfig:
    """PEFT's configuration. The projection is small, often new, and learns as a whole, as a vision tower does."""
    return LoraConfig(
        r=options.lora.r,
        lora_alpha=options.lora.alpha,
        lora_dropout=options.lora.dropout,
        init_lora_weights="gaussian",
        bias="none",
        task_type="FEATURE_EXTRACTION",
        target_modules=LANGUAGE_LAYERS,
        modules_to_save=[PROJECTION, *([VISION] if options.train_vision_tower else [])],
    )


def learning(encoder: MultiVectorEncoder) -> dict[str, torch.nn.Parameter]:
    """The weights that learn, by name."""
    return {name: weight for name, weight in encoder.named_parameters() if weight.requires_grad}
