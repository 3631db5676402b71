"""sentence-transformers' trainer for retrievers that see pages, and the log of a run's curves.

Of the trainer are changed: a checkpoint holds the weights that learn and nothing else (the library would write the
model whole, each time); the order of the rows hangs on the epoch alone, so that a run which goes on has the order it
would have had, on several ranks too; and no model card is drawn up, which would read the data set.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets import Dataset
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoderTrainer, MultiVectorEncoderTrainingArguments
from torch.utils.data import BatchSampler, Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState

from drag_rl.errors import InputError
from drag_rl.training.retriever.lora import learning
from drag_rl.training.retriever.options import RetrieverOptions

WEIGHTS = "learning.safetensors"
_NAMES = {"loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/lr"}
_EVALUATION = "eval_"
_NO_MEASURES = ("_time", "runtime", "per_second")


class RetrieverTrainer(MultiVectorEncoderTrainer):  # type: ignore[misc]
    """Trains an encoder whose weights have been chosen, see ``lora.py``."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        del state_dict
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().contiguous() for name, weight in learning(self.model).items()}
        save_file(weights, folder / WEIGHTS)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        path = Path(checkpoint_path) / WEIGHTS
        saved, weights = load_file(path), learning(self.model)
        if {name: weight.shape for name, weight in saved.items()} != {
            name: weight.shape for name, weight in weights.items()
        }:
            raise InputError(f"{path}: is of a run with other weights to learn; give another RUN")
        for name, weight in weights.items():
            weight.data.copy_(saved[name])

    def get_batch_sampler(self, dataset: Dataset, batch_size: int, drop_last: bool, **_: Any) -> BatchSampler:
        """Rows in an order of their own in each epoch."""
        order = EpochOrder(len(dataset), self.args.seed, epoch=lambda: int(self.state.epoch or 0))
        return BatchSampler(order, batch_size, drop_last)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No model card."""


class EpochOrder(Sampler[int]):  # type: ignore[misc]
    """All rows, shuffled by the seed and the epoch that it is when somebody begins to read them."""

    def __init__(self, rows: int, seed: int, epoch: Callable[[], int]) -> None:
        self._rows = rows
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        order = [*range(self._rows)]
        random.Random(f"{self._seed} {self._epoch()}").shuffle(order)
        return iter(order)


class MetricsLog(TrainerCallback):  # type: ignore[misc]
    """Writes what the trainer logs to ``RUN/metrics/<start>.jsonl``, which ``drag_rl.training.curves`` reads."""

    def __init__(self, run: Path) -> None:
        # A file for each start: of a run that goes on, the steps before stay as they were.
        self._path = run / "metrics" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl"

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: Mapping[str, Any], **_: Any
    ) -> None:
        """Add a step's line."""
        del args, control
        data = {_NAMES[name]: float(value) for name, value in logs.items() if name in _NAMES}
        data |= {
            f"val/{name.removeprefix(_EVALUATION)}": float(value)
            for name, value in logs.items()
            if name.startswith(_EVALUATION) and not name.endswith(_NO_MEASURES)
        }
        if not data or not state.is_world_process_zero:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, "data": data}) + "\n")


def training_arguments(
    options: RetrieverOptions, run: Path, *, apart: str, on_cpu: bool, evaluates: bool, goes_on: bool
) -> MultiVectorEncoderTrainingArguments:
    """What the library's trainer is told; weights whose names have ``apart`` learn at the projection's rate."""
    return MultiVectorEncoderTrainingArguments(
        output_dir=str(run / "checkpoints"),
        use_cpu=on_cpu,
        bf16=options.bf16,
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or -1,
        learning_rate=options.learning_rate,
        learning_rate_mapping={apart: options.projection_learning_rate},
        lr_scheduler_type=options.lr_scheduler_type,
        warmup_steps=options.warmup_steps if options.warmup_steps < 1 else int(options.warmup_steps),
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        gradient_checkpointing=options.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if options.gradient_checkpointing else None,
        dataloader_num_workers=options.data_workers,
        dataloader_persistent_workers=options.data_workers > 0,
        dataloader_drop_last=True,
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=False,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=options.evaluation.steps,
        # Not by trainer.evaluate() before train(): that prepares the model without DDP, and nothing does it again.
        eval_on_start=evaluates and not goes_on,
        logging_steps=options.logging_steps,
        save_steps=options.save_steps,
        save_total_limit=2,
        seed=options.seed,
        report_to=[*options.report_to],
        disable_tqdm=True,
    )
