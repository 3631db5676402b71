"""The commands of STaR's rounds: what each one plays, keeps, writes and trains, by the knobs of ``scripts/star.sh``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.training.launch.knobs import read_knobs


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


def _settings(*settings: str) -> str:
    return " ".join(filter(None, settings))
