"""Train a reader: ``python -m drag_rl.models.reader.train --pages PAGES --run RUN`` (``scripts/train_reader.sh``).

Killed at any moment and started again, it goes on from its last checkpoint with the batches that would have come.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.files.folders import new_folder
from drag_rl.files.manifest import MANIFEST, atomic_write, read_manifest, write_manifest
from drag_rl.models.folder import folder_fingerprint
from drag_rl.models.reader.checkpoint import load_checkpoint, save_checkpoint
from drag_rl.models.reader.crops import CropSource
from drag_rl.models.reader.learner import Learner, LearnerSettings
from drag_rl.models.reader.model import Reader, load_reader, new_reader, save_reader
from drag_rl.models.reader.page_store import OTHER_DOCUMENTS, OTHER_FONTS, TRAIN, PageStore
from drag_rl.models.reader.whitening import whiten

STAGE = "drag_rl.models.reader.train"
CHECKPOINT, CURVE, MODEL = "checkpoint.safetensors", "curve.json", "model"
WARM_UP = 150
"""Steps until the full learning rate."""
WATCH_SEED = 1_000_003
WATCHED_BATCHES = 4
"""Of each part that is watched, always the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How long, and on how much at a time."""

    steps: int
    """The last step; more may be asked for later, as long as the rate has not begun to fall."""
    decay_steps: int = 0
    """Steps at the end in which the learning rate falls to nothing; 0 for a training that goes on another time."""
    tiles: int = 16
    """Of a batch."""
    watch_steps: int = 250
    """Between two looks at what is held out."""
    save_minutes: float = 3.0
    seed: int = 0


def rate_share(step: int, settings: TrainSettings) -> float:
    """The share of the full learning rate at a step: up, level, and down at the end (arXiv:2404.06395).

    >>> [rate_share(step, TrainSettings(steps=1000, decay_steps=100)) for step in (0, 149, 500, 949, 999)]
    [0.006666666666666667, 1.0, 1.0, 0.51, 0.01]
    """
    up = min(1.0, (step + 1) / WARM_UP)
    down = min(1.0, (settings.steps - step) / settings.decay_steps) if settings.decay_steps else 1.0
    return min(up, down)


def trainings_of(folder: Path) -> list[dict[str, Any]]:
    """How the reader of a folder was trained, one after the other; none where that is not known."""
    trainings = read_manifest(folder).config.get("trainings", []) if (folder / MANIFEST).is_file() else []
    return list(trainings)


class Training:
    """A training in its folder."""

    def __init__(
        self,
        store: PageStore,
        run: Path,
        reader: Reader,
        settings: TrainSettings,
        learning: LearnerSettings,
        device: str,
        *,
        before: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        """Takes up what the folder has of it; else a new reader gets a first look at the pages.

        ``before`` is how the reader was trained until now, None for a new one. Raises ``InputError`` if what is in the
        folder was trained on other pages.
        """
        self._store = store
        self._run = run
        self._settings = settings
        self._recipe = asdict(settings) | asdict(learning)
        self._before = list(before or ())
        self.learner = Learner(reader, store, learning, device)
        tiles, seed = settings.tiles, settings.seed
        self._source = CropSource(store, TRAIN, tiles=tiles, seed=seed)
        watched = {"documents": OTHER_DOCUMENTS, "fonts": OTHER_FONTS}
        self._watched = {
            name: CropSource(store, part, tiles=16, seed=WATCH_SEED, faults=False)
            for name, part in watched.items()
            if len(store.of_part(part))
        }
        self.step = 0
        self._seconds = 0.0
        self.curve: list[dict[str, float]] = []
        if (run / CHECKPOINT).is_file():
            facts = load_checkpoint(run / CHECKPOINT, self.learner)
            if facts["pages"] != store.fingerprint:
                raise InputError(f"--run {run}: was trained on other pages; give another folder, and --init")
            self.step, self._seconds = int(facts["step"]), float(facts["core_seconds"])
            self.curve, self._before = json.loads(facts["curve"]), json.loads(facts["before"])
        elif before is None:
            first_tiles = np.concatenate([self._source.batch(number).tiles for number in range(4)])
            whiten(self.learner.reader, first_tiles, seed)
        run.mkdir(parents=True, exist_ok=True)

    def go_on(self) -> None:
        """Train to the last step."""
        settings = self._settings
        began = time.process_time() - self._seconds
        saved, losses = time.monotonic(), []
        while self.step < settings.steps:
            share = rate_share(self.step, settings)
            losses.append(self.learner.step(self._source.batch(self.step), self.step, share))
            self.step += 1
            self._seconds = time.process_time() - began
            last = self.step == settings.steps
            if self.step % settings.watch_steps == 0 or last:
                self._look(sum(losses) / len(losses))
                losses = []
            if last or time.monotonic() - saved > 60 * settings.save_minutes:
                self.save()
                saved = time.monotonic()

    def _look(self, loss: float) -> None:
        row = {"step": self.step, "core_seconds": round(self._seconds, 1), "loss": round(loss, 4)}
        for name, source in self._watched.items():
            each = [self.learner.reads(source.batch(number), number) for number in range(WATCHED_BATCHES)]
            read, found = (sum(values) / len(each) for values in zip(*each, strict=True))
            row |= {f"read_{name}": round(read, 4), f"found_{name}": round(found, 4)}
        self.curve.append(row)
        typer.echo(json.dumps(row))
        with atomic_write(self._run / CURVE) as file:
            json.dump(self.curve, file, indent=1)

    def save(self) -> None:
        """Write the checkpoint, and the reader as it is now."""
        facts = {
            "step": str(self.step),
            "core_seconds": str(self._seconds),
            "pages": self._store.fingerprint,
            "curve": json.dumps(self.curve),
            "before": json.dumps(self._before),
        }
        save_checkpoint(self._run / CHECKPOINT, self.learner, facts)
        with new_folder(self._run / MODEL, STAGE) as folder:
            save_reader(self.learner.reader, folder)
            training = {
                "pages": self._store.fingerprint,
                "recipe": self._recipe,
                "steps": self.step,
                "core_seconds": round(self._seconds, 1),
                "curve": self.curve,
            }
            write_manifest(
                folder,
                stage=STAGE,
                fingerprint=folder_fingerprint(folder),
                inputs={"pages": self._store.fingerprint},
                config={"trainings": [*self._before, training]},
                packages=("torch", "transformers"),
            )


def main(
    pages: Annotated[Path, typer.Option(help="Folder that `drag_rl.models.reader.prepare` has made.")],
    run: Annotated[Path, typer.Option(help="Folder of the training; taken up where it is there already.")],
    steps: Annotated[int, typer.Option(min=1, help="Last step.")] = 10_000,
    decay_steps: Annotated[
        int, typer.Option(min=0, help="Steps at the end in which the rate falls.")
    ] = 1_000,
    tiles: Annotated[int, typer.Option(min=1, help="Tiles of a batch.")] = 16,
    init: Annotated[Path | None, typer.Option(help="Folder of a reader to go on from.")] = None,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 2e-3,
    letters: Annotated[float, typer.Option(min=0, help="Weight of the letters' loss.")] = 4.0,
    bits: Annotated[float, typer.Option(min=0, help="Weight of the words' loss by signs alone.")] = 1.0,
    tap: Annotated[int, typer.Option(min=1, help="Blocks after which letters are read.")] = 2,
    muon: Annotated[bool, typer.Option(help="Muon for the blocks' matrices, else AdamW.")] = True,
    width: Annotated[int, typer.Option(help="Numbers of a patch, a multiple of 64.")] = 256,
    depth: Annotated[int, typer.Option(min=1, help="Blocks.")] = 4,
    watch_steps: Annotated[int, typer.Option(min=1, help="Between two looks at what is held out.")] = 250,
    save_minutes: Annotated[float, typer.Option(help="Between two checkpoints.")] = 3.0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of weights and batches.")] = 0,
) -> None:
    """Train a reader, or go on with one."""
    torch.set_num_threads(threads)
    reader = load_reader(init) if init else new_reader(seed, width=width, depth=depth)
    settings = TrainSettings(
        steps=steps,
        decay_steps=decay_steps,
        tiles=tiles,
        watch_steps=watch_steps,
        save_minutes=save_minutes,
        seed=seed,
    )
    learning = LearnerSettings(
        rate=rate, letters=letters, bits=bits, tap=min(tap, reader.config.depth), muon=muon
    )
    before = trainings_of(init) if init else None
    Training(PageStore(pages), run, reader, settings, learning, device, before=before).go_on()


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_app(app, "drag_rl.models.reader.train")
