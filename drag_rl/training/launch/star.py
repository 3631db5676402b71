"""STaR: rounds of collect -> filter -> format -> SFT, each collecting with the model that the round before has trained.

``python -m drag_rl.training.launch.star --rounds 2 -- optim.lr=2e-5`` is what ``scripts/star.sh`` starts, whose header
says what each knob in the environment means. What a round has already made is kept, so a run that was killed goes on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.training.launch.knobs import read_knobs

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Star:
    """The commands of a run, as words; rounds count from 1."""

    knobs: Mapping[str, str]
    rounds: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], rounds: int) -> Star:
        """Check the knobs and that the data is there. Raises InputError that names what is wrong."""
        knobs = read_knobs("star", environment)
        star = cls(knobs, rounds)
        if knobs.get("VAL") and not star.validation.is_file():
            raise InputError(f"VAL={knobs['VAL']} does not exist")
        for name in ("index", "questions.train.parquet"):
            if not (star.data / name).exists():
                raise InputError(f"DATA={star.data} has no {name}: build it first (docs/data.md)")
        return star

    @property
    def data(self) -> Path:
        """Folder of index, pages and questions."""
        return Path(self.knobs["DATA"])

    @property
    def run(self) -> Path:
        """Folder of this run."""
        return Path(self.knobs["RUN"])

    @property
    def validation(self) -> Path:
        """The questions that the rounds are compared on; there is no comparison where they are no file."""
        return Path(self.knobs.get("VAL", self.data / "questions.val.parquet"))

    def folder(self, number: int) -> Path:
        """Of a round."""
        return self.run / f"round-{number}"

    def results(self, rounds: int) -> Path:
        """The evaluation of the model after so many rounds."""
        return self.run / f"after-{rounds}-rounds.json"

    def is_trained(self, number: int) -> bool:
        """Whether a round has its model."""
        return any((self.folder(number) / "sft" / kind).is_dir() for kind in ("model", "adapter"))

    def evaluate(self, number: int) -> list[str]:
        """Measure the model that a round starts with on held-out questions; empty where there are none."""
        if not self.validation.is_file():
            return []
        command = ["evaluate", "--questions", str(self.validation), "--index", str(self.data / "index")]
        return [*command, "--output", str(self.results(number - 1)), *self._policy(number)]

    def collect(self, number: int) -> list[list[str]]:
        """Play the training questions; with HINTS also those that were never solved, with the gold page shown."""
        seed = 100 * int(self.knobs["SEED"]) + number
        plays = ["collect", "--questions", str(self.data / "questions.train.parquet")]
        plays += ["--index", str(self.data / "index"), "--limit", self.knobs["LIMIT"], *self._policy(number)]
        plays += ["--sampling", self.knobs["SAMPLING"], "--seed", str(seed)]
        trajectories, *hinted = map(str, self._trajectories(number))
        commands = [[*plays, "--samples", self.knobs["SAMPLES"], "--out", trajectories]]
        commands += [[*plays, "--hint-failures", trajectories, "--out", path] for path in hinted]
        return commands

    def filter(self, number: int) -> list[str]:
        """Keep the successful samples."""
        inputs = [word for path in self._trajectories(number) for word in ("--input", str(path))]
        output = str(self.folder(number) / "processed.jsonl")
        command = ["filter", *inputs, "--output", output, "--per-question", self.knobs["PER_QUESTION"]]
        return [*command, *(["--above-mean"] if self.knobs["ABOVE_MEAN"] == "1" else [])]

    def format(self, number: int) -> list[str]:
        """Write training rows; a document that the first round trains on is on no later round's validation side."""
        folder = self.folder(number)
        command = ["format", "--input", str(folder / "processed.jsonl")]
        command += ["--output-dir", str(folder / "training_data"), "--formats", self.knobs["FORMAT"]]
        command += ["--episode", _settings("shots=0", self.knobs["EPISODE"]), *self._pages()]
        split = ["--split-from", str(self.folder(1) / "training_data")] if number > 1 else []
        return [*command, *split]

    def train(self, number: int) -> dict[str, str | None]:
        """What SFT's knobs become; None: not set. Every round trains MODEL anew, as STaR does."""
        folder = self.folder(number)
        return {
            **{name: self.knobs[name] for name in ("MODEL", "LORA_RANK")},
            "TRAIN": str(folder / "training_data" / f"{self.knobs['FORMAT']}_train.parquet"),
            "RUN": str(folder / "sft"),
            # VAL names questions here, rows there; empty, it says there too that there is to be no validation.
            "VAL": "" if self.knobs.get("VAL") == "" else None,
        }

    def compare(self) -> list[str]:
        """Every round's model against the untrained one."""
        results = [str(self.results(rounds)) for rounds in range(self.rounds + 1)]
        return ["compare", *results, "--out", str(self.run / "comparison")]

    def _trajectories(self, number: int) -> list[Path]:
        names = ["trajectories.jsonl", *(["hinted.jsonl"] if self.knobs["HINTS"] == "1" else [])]
        return [self.folder(number) / name for name in names]

    def _policy(self, number: int) -> Iterator[str]:
        """What a round plays with: the model that it starts with, and the settings of the episodes."""
        model, adapter, episode = self.knobs["MODEL"], [], self.knobs["EPISODE"]
        if number == 1:
            episode = _settings(episode, self.knobs["FIRST_EPISODE"])
        elif int(self.knobs["LORA_RANK"]):
            adapter = [
                "--adapter",
                f"adapter={self.folder(number - 1) / 'sft/adapter'}",
                "--model",
                "adapter",
            ]
        else:
            model = str(self.folder(number - 1) / "sft/model")
        yield from ("--model-path", model, "--max-tokens", self.knobs["MAX_TOKENS"], *self._pages())
        yield from ("--vllm-options", self.knobs["VLLM"], "--concurrency", self.knobs["CONCURRENCY"])
        yield from (*adapter, "--episode", episode)

    def _pages(self) -> list[str]:
        return ["--pages", str(self.data / "pages")] if (self.data / "pages").is_dir() else []


def run_star(star: Star, options: Sequence[str]) -> None:
    """Run all rounds and compare their models; ``options`` are those of the SFT trainer.

    Raises subprocess.CalledProcessError for a command that fails, which has said why.
    """
    for number in range(1, star.rounds + 1):
        star.folder(number).mkdir(parents=True, exist_ok=True)
        measure = star.evaluate(number)
        _say(f"round {number} of {star.rounds}: {'measure, ' if measure else ''}collect")
        plays = [command for command in (measure, *star.collect(number)) if command]
        _run("drag_rl.cli.together", *_joined(plays))  # one vLLM for all
        _say(f"round {number} of {star.rounds}: filter, format")
        _run("drag_rl.cli.main", *star.filter(number))
        _run("drag_rl.cli.main", *star.format(number))
        _say(f"round {number} of {star.rounds}: SFT")
        if star.is_trained(number):
            _tell(f"already trained: {star.folder(number) / 'sft'} (delete it to train again)")
        else:
            words = ["sft", f"trainer.seed={star.knobs['SEED']}", *options]
            _run("drag_rl.training.launch", *words, knobs=star.train(number))
    if measure := star.evaluate(star.rounds + 1):
        _run("drag_rl.cli.main", *measure)
        _say(f"the rounds against the untrained model, on {star.validation}")
        _run("drag_rl.cli.main", *star.compare())
    _say("success, hit@1 and first-search MRR by round")
    _run("drag_rl.evaluation.rounds", str(star.run))


def rounds_and_options(words: Sequence[str]) -> tuple[int, list[str]]:
    """The number of rounds, and the options of the trainer. Raises InputError for any other word.

    >>> rounds_and_options(["--rounds", "2", "--", "optim.lr=2e-5"])
    (2, ['optim.lr=2e-5'])
    """
    rounds, rest = "1", list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if word != "--rounds":
            raise InputError(
                f"unknown option {word}: use --rounds N, knobs in the environment, and options of the trainer after --"
            )
        if not rest:
            raise InputError("--rounds: say how many")
        rounds = rest.pop(0)
    if not re.fullmatch("[1-9][0-9]{0,8}", rounds):
        raise InputError(f"--rounds {rounds}: give a whole number from 1")
    return int(rounds), rest


def main() -> int:
    """The command line."""
    try:
        rounds, options = rounds_and_options(sys.argv[1:])
        run_star(Star.from_environment(os.environ, rounds), options)
    except (InputError, OSError) as error:
        sys.stderr.write(f"star: {' '.join(str(error).split())}\n")
        return EXIT_BAD_INPUT
    except subprocess.CalledProcessError as error:
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _run(module: str, *words: str, knobs: Mapping[str, str | None] | None = None) -> None:
    environment = {**os.environ, **(knobs or {})}
    given = {name: value for name, value in environment.items() if value is not None}
    subprocess.run([sys.executable, "-m", module, *words], env=given, check=True)


def _joined(commands: Sequence[Sequence[str]]) -> Iterator[str]:
    for position, command in enumerate(commands):
        yield from ("--then", *command) if position else command


def _settings(*settings: str) -> str:
    return " ".join(filter(None, settings))


def _say(text: str) -> None:
    _tell(f"\n\033[1m[star] {text}\033[0m")


def _tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (a script's own output)


if __name__ == "__main__":
    sys.exit(main())
