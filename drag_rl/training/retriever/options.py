"""What a training of a retriever may set: the keys of ``configs/retriever.yaml`` and ``configs/retriever_hardware``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from drag_rl.config import Config
from drag_rl.errors import InputError

TOKEN_PIXELS = 32 * 32
"""Pixels of one image token of Qwen3-VL: patches of 16 x 16, merged by 2 x 2."""

LossName = Literal["infonce", "pairwise", "hard-negative"]


class LossOptions(Config):
    """What is minimised; the scores are MaxSim."""

    name: LossName = "infonce"
    """``infonce``: the gold page against all other pages of the batch. ``pairwise``: against the hardest of them.
    ``hard-negative``: against the mined pages of its own question, mixed with InfoNCE over the batch."""
    temperature: float = Field(default=0.02, gt=0)
    """Scores are divided by it; 0.02 suits scores that are means over a query's tokens, 1 suits sums."""
    mean_scores: bool = True
    """A score is the mean over the tokens of the query, at most 1; false: the sum. Both rank pages alike."""
    both_directions: bool = True
    """Each page is to find its question among the batch's questions, too; the loss is the mean of both directions."""
    in_batch_weight: float = Field(default=0.5, ge=0, le=1)
    """``hard-negative``: the share of InfoNCE over the batch."""
    doubtful_share: float = Field(default=0.0, ge=0)
    """Other pages that score above this share of the gold page's score may be gold too and count less; 0: off. 0.95 is
    usual."""
    doubtful_factor: float = Field(default=0.5, ge=0, le=1)
    """What the scores of doubtful pages are multiplied by."""


class NegativesOptions(Config):
    """Hard negatives: pages that look right and are wrong. See ``negatives.py``."""

    per_question: int = Field(default=0, ge=0, le=64)
    """Hard negatives of each question; 0: the batch's other pages are the only negatives."""
    sources: tuple[str, ...] = ("bm25",)
    """Where they are looked for, in turns: ``bm25`` (the texts of the pages), ``model`` (the model as training starts),
    or the folder of an index of the same pages."""
    depth: int = Field(default=100, ge=1)
    """Pages of each ranking that are looked at."""
    max_share: float = Field(default=0.95, ge=0)
    """Pages that score above this share of the best gold page's score in that ranking are taken for gold; 0: kept."""
    model_pages: int = Field(default=5000, ge=1)
    """``model``: pages that are encoded, at most: the gold ones and others drawn by the seed."""


class LoraOptions(Config):
    """The adapter: low-rank weights of the language layers, and the whole projection."""

    r: int = Field(default=32, ge=0)
    """Rank; 0 trains all weights, without an adapter."""
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class EvaluationOptions(Config):
    """Retrieval on validation questions, during training and at its end."""

    steps: int = Field(default=100, ge=1)
    """Steps between evaluations."""
    questions: int = Field(default=500, ge=1)
    """Questions that are asked, at most: the first of the file."""
    pages: int = Field(default=1000, ge=1)
    """Pages that are ranked, at most: the gold ones of the questions asked, and others drawn by the seed."""
    batch_size: int = Field(default=8, ge=1)
    """Page images at a time."""


class RetrieverOptions(Config):
    """``configs/retriever.yaml``."""

    loss: LossOptions = LossOptions()
    negatives: NegativesOptions = NegativesOptions()
    lora: LoraOptions = LoraOptions()
    evaluation: EvaluationOptions = EvaluationOptions()

    train_vision_tower: bool = False
    """Whether the vision tower learns too, as a whole: without an adapter, or beside it. Without, of a reader the table
    of words learns alone."""
    load_in_4bit: bool = False
    """NF4 weights under the adapter (QLoRA)."""
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    max_pixels: int = Field(default=768 * TOKEN_PIXELS, ge=4 * TOKEN_PIXELS)
    """Pixels of a page image that the model sees, at most; 1024 are one image token."""
    bf16: bool = True
    """Compute in bfloat16; the weights that learn stay float32."""
    gradient_checkpointing: bool = True

    batch_size: int = Field(default=32, ge=1)
    """Questions a step on each device."""
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    """Batches of each step. They are apart: the negatives of a question are those of its own batch."""
    mini_batch_size: int = Field(default=0, ge=0)
    """Pages that go through the model at a time, so that large batches fit (GradCache); 0: the whole batch at once."""
    epochs: float = Field(default=5, gt=0)
    max_steps: int = Field(default=0, ge=0)
    """Steps at which training ends; 0: by ``epochs`` alone."""
    learning_rate: float = Field(default=2e-4, gt=0)
    projection_learning_rate: float = Field(default=2e-4, gt=0)
    """The projection may learn at a rate of its own: it often starts from nothing. Of a reader, the table of words."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_steps: float = Field(default=100, ge=0)
    """Steps over which the rate rises; under 1: this share of all steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=30.0, ge=0)
    """Gradients of sums of similarities are long; 0: they are not clipped."""
    data_workers: int = Field(default=4, ge=0)
    """Processes that read and prepare page images; 0: the trainer itself."""
    logging_steps: int = Field(default=1, ge=1)
    save_steps: int = Field(default=100, ge=1)
    seed: int = Field(default=1, ge=0)
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.loss.name == "hard-negative" and not self.negatives.per_question:
            raise ValueError(
                "loss.name=hard-negative needs mined pages: set negatives.per_question to 1 or more"
            )
        if self.loss.name == "hard-negative" and self.loss.both_directions:
            raise ValueError("loss.name=hard-negative has one direction: set loss.both_directions=false")
        if self.load_in_4bit and not self.lora.r:
            raise ValueError("load_in_4bit trains an adapter: set lora.r to 1 or more")
        return self

    @property
    def max_visual_tokens(self) -> int:
        """Image tokens of a page, at most."""
        return self.max_pixels // TOKEN_PIXELS


def read_options(files: list[str], options: list[str]) -> RetrieverOptions:
    """The options of YAML files, of which later ones win, and of ``name=value`` words, which win over all.

    Raises ``InputError`` for a file that cannot be read, an unknown key or a wrong value.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        merged = OmegaConf.merge(*map(OmegaConf.load, files), OmegaConf.from_dotlist(options))
        values = OmegaConf.to_container(merged, resolve=True)
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"options: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"options: {files[-1]} holds no keys")
    return RetrieverOptions.from_mapping({str(key): value for key, value in values.items()}, "options")
