"""Our agent loop against veRL's ToolAgentLoop, with a model that answers at once: what a rollout costs besides.

    python benchmarks/agent_loop.py data             questions, pages and an index as the quickstart makes them

Both play the same episodes with the real tokenizer, processor and token builder: two searches by tool calls (the
question, then the question and a word) and an answer. veRL's tool is the same search over the same index, with
the same snippets or page images; it does not reckon where the gold pages rank, keeps no trace and checks no budget
before it appends. `CONCURRENT` episodes run at a time in one event loop, as in a rollout worker. The loops take turns,
round by round, after one that is not counted (it renders the page images); read the ratios.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rich.table import Table

from drag_rl.console import table_console

EPISODES, ROUNDS, CONCURRENT = 64, 5, 16
CONFIGS = Path(__file__).resolve().parents[1] / "configs"

Play = Callable[[dict[str, Any]], Awaitable[Any]]
"""One episode of a row of the questions file."""


def main(data: Path) -> None:
    """Print the table."""
    table = Table("observations", "veRL's ToolAgentLoop, episodes/s", "ours, episodes/s", "ratio")
    with tempfile.TemporaryDirectory() as folder:
        processor = _processor(Path(folder))
        for observation in ("text", "image"):
            verl, ours = asyncio.run(_rounds(data, processor, observation))
            ratio = median(own / its for own, its in zip(ours, verl, strict=True))
            table.add_row(observation, f"{median(verl):.1f}", f"{median(ours):.1f}", f"{ratio:.2f} x")
    table_console().print(
        table, f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )


async def _rounds(data: Path, processor: Any, observation: str) -> tuple[list[float], list[float]]:
    """Episodes a second in each round, of veRL's loop and of ours."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "questions.train.parquet").to_pylist()
    rows = [rows[number % len(rows)] for number in range(EPISODES)]
    loops = (_verls(data, processor, observation), _ours(data, processor, observation))
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for play, rates in zip(loops, found, strict=True):
            rate = await _episodes_per_second(play, rows)
            if number:
                rates.append(rate)
    return found


async def _episodes_per_second(play: Play, rows: Sequence[dict[str, Any]]) -> float:
    remaining: Iterator[dict[str, Any]] = iter(rows)

    async def worker() -> None:
        for row in remaining:
            output = await play(row)
            if output.num_turns < 6:
                sys.exit("an episode ended before its answer: the two loops would not do the same")

    started = perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENT)))
    return len(rows) / (perf_counter() - started)


class InstantModel:
    """An inference server that answers an episode at once: two searches, then an answer."""

    def __init__(self, tokenizer: Any, question: str) -> None:
        self._tokenizer = tokenizer
        queries = (question[:150], f"{question[:150]} example")
        self._messages = iter([*map(_call, queries), "It is described there."])

    async def generate(self, **_: Any) -> Any:
        """The next message of its episode."""
        from verl.workers.rollout.replica import TokenOutput

        ids = self._tokenizer.encode(f"{next(self._messages)}<|im_end|>", add_special_tokens=False)
        steps = {"global_steps": 1, "min_global_steps": 1, "max_global_steps": 1}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), num_preempted=0, extra_fields=steps)


def _call(query: str) -> str:
    return f"<tool_call>\n{json.dumps({'name': 'search', 'arguments': {'query': query}})}\n</tool_call>"


def _ours(data: Path, processor: Any, observation: str) -> Play:
    from drag_rl.verl_plugin.agent_loop import DragSearchLoop

    def play(row: dict[str, Any]) -> Awaitable[Any]:
        return DragSearchLoop(**_arguments(data, processor, observation, row)).run(
            {"temperature": 1.0}, **row
        )

    return play


def _verls(data: Path, processor: Any, observation: str) -> Play:
    from verl.experimental.agent_loop.agent_loop import ToolListWrap
    from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
    from verl.tools.function_tool import FunctionTool
    from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

    from drag_rl.corpus.images import PageImages
    from drag_rl.episode.prompt import opening_messages, tool_schemas
    from drag_rl.protocol import MAX_PIXELS
    from drag_rl.questions import question_from_row
    from drag_rl.retrieval import Query, open_retriever

    config = _episode(observation)
    retriever = open_retriever(data / "index")
    images = PageImages(data / "pages", max_pixels=MAX_PIXELS) if observation == "image" else None

    async def search(query: str) -> Any:
        [ranking] = await retriever.search([Query(text=query)], config.top_k)
        ids = [hit.page_id for hit in ranking.hits]
        if images is None:
            shown = [
                f"{page_id}: {retriever.pages.snippet(page_id, query, config.snippet_chars)}"
                for page_id in ids
            ]
            return ToolResponse(text="\n".join(f"{rank}. {text}" for rank, text in enumerate(shown, start=1)))
        pictures = [await asyncio.to_thread(images.shown, page_id) for page_id in ids]
        return ToolResponse(
            text="\n".join(f"{rank}. {page_id}" for rank, page_id in enumerate(ids, start=1)), image=pictures
        )

    [schema] = tool_schemas(config) or ()
    tool = FunctionTool("search", search, OpenAIFunctionToolSchema.model_validate(schema), is_async=True)

    def play(row: dict[str, Any]) -> Awaitable[Any]:
        messages = opening_messages(question_from_row(row), config)
        loop = ToolAgentLoop(**_arguments(data, processor, observation, row), tools=ToolListWrap([tool]))
        return loop.run({"temperature": 1.0}, **row, raw_prompt=messages)

    return play


def _episode(observation: str) -> Any:
    from drag_rl.protocol import EpisodeConfig

    return EpisodeConfig(action_format="tools", observation=observation)  # type: ignore[arg-type]


def _arguments(data: Path, processor: Any, observation: str, row: dict[str, Any]) -> dict[str, Any]:
    """What veRL gives an agent loop, which it makes anew for each episode; here each has a model of its own."""
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    config = _config(data, observation)
    return {
        "trainer_config": DictConfigWrap(config),
        "server_manager": InstantModel(processor.tokenizer, row["extra_info"]["question"]),
        "tokenizer": processor.tokenizer,
        "processor": processor,
        "dataset_cls": RLHFDataset,
        "data_config": DictConfigWrap(config.data),
        "hf_model_type": "qwen3_vl",
    }


_CONFIGS: dict[str, Any] = {}


def _config(data: Path, observation: str) -> Any:
    """The configuration of a GRPO run, composed once for each kind of observation."""
    if observation not in _CONFIGS:
        import_module("drag_rl.verl_plugin")  # gives Hydra our options, so it comes first
        from hydra import compose, initialize_config_dir

        settings = {
            "hardware": "cpu",
            "data.train_files": "t",
            "data.val_files": "v",
            "trainer.default_local_dir": "c",
            "drag.index": data / "index",
            "drag.pages": data / "pages",
            "drag.episode.action_format": "tools",
            "drag.episode.observation": observation,
            "drag.observation_tokens": 8192,
            "data.max_response_length": 32768,
            "actor_rollout_ref.rollout.multi_turn.format": "hermes",
            "actor_rollout_ref.rollout.multi_turn.max_tool_response_length": 100_000,
        }
        with initialize_config_dir(str(CONFIGS), version_base=None):
            _CONFIGS[observation] = compose("grpo", [f"{key}={value}" for key, value in settings.items()])
    return _CONFIGS[observation]


def _processor(folder: Path) -> Any:
    """That of the tiny Qwen3-VL, whose tokenizer and image processor are of the real one's kind."""
    from transformers import AutoProcessor

    from drag_rl.models.tiny import build_tiny

    build_tiny(folder / "model")
    return AutoProcessor.from_pretrained(folder / "model")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
