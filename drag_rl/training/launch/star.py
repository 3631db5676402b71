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

from drag_rl.errors import InputError
from drag_rl.training.launch.star_commands import Star

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


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


def _say(text: str) -> None:
    _tell(f"\n\033[1m[star] {text}\033[0m")


def _tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (a script's own output)


if __name__ == "__main__":
    sys.exit(main())
