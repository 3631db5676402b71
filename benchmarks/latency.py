"""Where the time of one iteration of a searcher goes, for one user and for sixteen, with the index here and by HTTP.

    bash scripts/serve_vllm.sh runs/quickstart/grpo/model --name searcher --port 8000       # in another shell
    python benchmarks/latency.py data/quickstart/index data/quickstart/questions.test.parquet \\
        http://localhost:8000/v1 searcher

An iteration is one message of the searcher and the search that it leads to. Its parts are those of
`drag ask --timings`: rendering (page images into the request), waiting (until the server takes the request up), the
first token (its queue, and reading the prompt), decoding (the other tokens), search, and snippets. `http` is the same
index behind a `drag serve` on this machine. Each user asks one question after another. The table has p50 / p95 in
milliseconds; two questions that are asked before, which load things, are not counted.

EPISODE sets the episode's options, such as "max_turns=2 answer=false", QUESTIONS how many each row asks (64),
MAX_TOKENS the tokens of a message, at most (32).
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

USERS = (1, 16)
QUESTIONS = int(os.environ.get("QUESTIONS", "64"))
MAX_TOKENS = int(os.environ.get("MAX_TOKENS", "32"))
EPISODE = os.environ.get(
    "EPISODE", "max_turns=1 answer=false think=false system_prompt=brief expand_question=true"
)
PARTS = ("rendering", "waiting", "first token", "decoding", "search", "snippets", "whole")

Spans = tuple[float, ...]
"""Seconds of each of PARTS; NaN for the search of a message that makes none."""


def main(index: Path, questions: Path, url: str, model: str) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    from drag_rl.questions import read_questions

    texts = [question.text for question in read_questions(questions)][:QUESTIONS]
    table = Table("index", "users", "iterations", *PARTS, title=f"p50 / p95 of an iteration, ms ({model})")
    with tempfile.TemporaryDirectory() as work, _behind_http(index, Path(work)) as remote:
        for name, folder in (("local", index), ("http", remote)):
            for users in USERS:
                spans = asyncio.run(_asked(folder, url, model, texts, users))
                table.add_row(name, str(users), str(len(spans)), *_percentiles(spans))
    Console(width=140).print(table)


def _percentiles(spans: Sequence[Spans]) -> list[str]:
    milliseconds = 1000 * np.array(spans)
    columns = [column[~np.isnan(column)] for column in milliseconds.T]
    return [
        f"{np.percentile(column, 50):.1f} / {np.percentile(column, 95):.1f}" if len(column) else "none"
        for column in columns
    ]


async def _asked(index: Path, url: str, model: str, texts: Sequence[str], users: int) -> list[Spans]:
    """The spans of every iteration of all questions, asked by so many users at once."""
    from drag_rl.cli.options import episode_config
    from drag_rl.handoff.options import SessionOptions
    from drag_rl.handoff.session import Session, asked_question, open_session
    from drag_rl.handoff.summary import told_by
    from drag_rl.policies.source import PolicyOptions
    from drag_rl.serving.served_model import ModelChoice

    policy = PolicyOptions(
        model=ModelChoice(base_url=url, model=model), sampling="greedy", max_tokens=MAX_TOKENS, timed=True
    )
    options = SessionOptions(index=index, policy=policy, episode=episode_config([EPISODE]))

    async def user(session: Session, queue: Iterator[str]) -> list[Spans]:
        spans: list[Spans] = []
        for text in queue:
            told = await told_by(session.ask(asked_question(text)))
            for wrote, searched in told.iterations:
                timing = wrote.timing
                assert timing is not None, "a model at a server tells"
                parts = (timing.encoding_s, timing.waiting_s, timing.first_token_s, timing.decoding_s)
                found = (searched.search_s, searched.snippets_s) if searched else (math.nan, math.nan)
                whole = wrote.generation.seconds + (sum(found) if searched else 0.0)
                spans.append((*parts, *found, whole))
        return spans

    with tempfile.TemporaryDirectory() as log, open_session(options, Path(log) / "log") as session:
        await user(session, iter(texts[:2]))  # what is loaded at first sight
        queue = iter(texts)
        spans = await asyncio.gather(*(user(session, queue) for _ in range(users)))
        await session.close()
    return [one for of_user in spans for one in of_user]


@contextmanager
def _behind_http(index: Path, work: Path) -> Iterator[Path]:
    """An index of kind http over a `drag serve` of the given one."""
    command = [sys.executable, "-m", "drag_rl.cli.main"]
    serve = [*command, "serve", "--index", str(index), "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found, "the server does not start"
            words = [
                "index",
                "--kind",
                "http",
                "--url",
                found.group(),
                "--out",
                str(work / "http"),
                "--no-cache",
            ]
            subprocess.run([*command, *words], check=True, stdout=subprocess.DEVNULL)
            yield work / "http"
        finally:
            server.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
