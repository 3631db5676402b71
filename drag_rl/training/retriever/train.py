"""Training of a retriever that sees pages: questions and page images in, an adapter or a model out.

    python -m drag_rl.training.retriever.train --config configs/retriever.yaml --model MODEL --pages PAGES_DIR \
        --train questions.train.parquet --val questions.val.parquet --out RUN loss.temperature=0.05

goes on from the last checkpoint of ``RUN`` and ends with ``RUN/adapter``, or with ``RUN/model`` where all weights are
trained. ``scripts/run_retriever.sh`` starts it, on one device or, by torchrun, on several.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_folder
from drag_rl.questions import read_questions
from drag_rl.training.dpo import last_checkpoint
from drag_rl.training.retriever.options import RetrieverOptions, read_options
from drag_rl.training.retriever.task import Task
from drag_rl.training.retriever.trainable import TRAINABLE, kind_of


def train_retriever(task: Task, options: RetrieverOptions) -> Path:
    """Train to the end and write the result; returns its folder, ``run/adapter`` or ``run/model``.

    Raises:
        InputError: A file, page, model or option is wrong; or the run's folder holds something else than a run of the
            same model.
    """
    import torch
    from datasets import Dataset

    from drag_rl.retrieval.late.saving import STAGE
    from drag_rl.training.retriever.evaluator import RetrievalEvaluator
    from drag_rl.training.retriever.examples import PageCollator, Pages, training_rows, usable_questions
    from drag_rl.training.retriever.loss import LateInteractionLoss
    from drag_rl.training.retriever.mining import mined_negatives
    from drag_rl.training.retriever.trainer import MetricsLog, RetrieverTrainer, training_arguments

    model = TRAINABLE[kind_of(task.model)](task, options)
    result = task.run / model.result
    claim_folder(result, STAGE)
    on_cpu = not torch.cuda.is_available()
    checkpoint = last_checkpoint(task.run / "checkpoints")
    arguments = training_arguments(
        options,
        task.run,
        apart=model.apart,
        on_cpu=on_cpu,
        evaluates=task.val is not None,
        goes_on=checkpoint is not None,
    )
    ranks = arguments.distributed_state
    pages = Pages.open(task.pages)
    with ranks.main_process_first():  # which renders the page images
        questions, dropped = usable_questions(read_questions(task.train), pages, task.train)
        asked = usable_questions(read_questions(task.val), pages, task.val)[0] if task.val else []
        evaluator = RetrievalEvaluator(asked, pages, options.evaluation, seed=options.seed) if asked else None
    encoder = model.load(str(ranks.device))
    with ranks.main_process_first():
        mined = mined_negatives(questions, pages, options, task, encoder)
    torch.manual_seed(options.seed)  # a new adapter is the same on all ranks
    model.choose_weights(encoder)
    rows = training_rows(questions, pages.numbers(), mined)
    devices = ranks.num_processes
    _check_batch(options, len(rows), devices)
    trainer = RetrieverTrainer(
        model=encoder,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        loss=LateInteractionLoss(
            encoder, options.loss, mini_batch_size=options.mini_batch_size, gather=devices > 1
        ),
        evaluator=evaluator,
        data_collator=PageCollator(encoder.preprocess, load=pages.images.load),
        callbacks=[MetricsLog(task.run)],
    )
    if ranks.is_main_process:
        typer.echo(f"{len(rows)} rows of {len(questions)} questions; left out: {json.dumps(dropped)}")
    trainer.train(resume_from_checkpoint=checkpoint)
    if evaluator is not None and trainer.state.global_step % options.evaluation.steps:
        trainer.evaluate()
    if ranks.is_main_process:
        model.save(encoder.eval(), result)
    ranks.wait_for_everyone()
    return result


def _check_batch(options: RetrieverOptions, rows: int, devices: int) -> None:
    if rows < options.batch_size * devices:
        raise InputError(
            f"batch_size={options.batch_size}: {devices} devices take {options.batch_size * devices} rows a batch, and "
            f"there are {rows}; lower it"
        )
    if options.batch_size * devices < 2 and not options.negatives.per_question:
        raise InputError(
            "batch_size=1: a question alone has no wrong page; raise it or negatives.per_question"
        )


def main(
    model: Annotated[str, typer.Option(help="Path or hub id of the model to start from.")],
    pages: Annotated[Path, typer.Option(help="Folder of pages of `drag ingest`.")],
    train: Annotated[Path, typer.Option(help="questions.train.parquet.")],
    run: Annotated[Path, typer.Option("--out", help="Folder of this run.")],
    config: Annotated[
        list[Path], typer.Option(help="configs/retriever.yaml, then a file of a machine; later ones win.")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(help="name=value: any key of configs/retriever.yaml.")
    ] = None,
    val: Annotated[Path | None, typer.Option(help="questions.val.parquet; none: no evaluation.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Adapter of the model to go on from.")] = None,
) -> None:
    """Train a late-interaction retriever on page images."""
    task = Task(model=model, adapter=adapter, pages=pages, train=train, val=val, run=run)
    values = read_options([str(path) for path in config], options or [])
    result = train_retriever(task, values)
    size = f"--max-visual-tokens {values.max_visual_tokens}"
    typer.echo(f"{result.name}: {result}; it has learnt from pages of this size: drag index {size}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app, "retriever")
