"""A small real world to train in: PDFs -> pages -> index -> questions, and a tiny model that speaks the protocol.

The tiny Qwen3-VL of ``drag_rl.models.tiny`` is random, so it would never search. ``teach`` trains it for half a minute
on dialogues of the real :class:`SearchEpisode`, until it writes searches and answers by itself; what it searches for
stays random, which is what a test of training needs.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Any

import psutil
from driven import Driven
from tiny_corpus import Searching

from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.doctor.machine.world import PARTS, WORDS
from drag_rl.episode import EpisodeConfig, Observation
from drag_rl.mupdf import pymupdf
from drag_rl.questions import read_questions, write_questions
from drag_rl.retrieval import build_index
from drag_rl.types import Question

ROOT = Path(__file__).resolve().parent.parent
LEARN = ("actor_rollout_ref.actor.optim.lr=1e-3",)
"""At this rate two steps change the tiny model."""
TWO_STEPS = (
    *LEARN,
    "actor_rollout_ref.rollout.n=4",
    "trainer.total_training_steps=2",
    "trainer.val_before_train=false",
    "trainer.test_freq=-1",
    "data.max_response_length=1200",
)
"""For runs that train and do nothing else, page images in their context."""
MANY_STEPS = ("trainer.total_training_steps=40", "trainer.total_epochs=40")
"""For runs that do not end by themselves."""


def make_data(folder: Path) -> Path:
    """Five PDFs of five pages each, ingested and indexed, and 25 questions split by document."""
    draw = random.Random(0)
    pdfs = folder / "pdfs"
    pdfs.mkdir(parents=True)
    questions: dict[str, list[Question]] = {"train": [], "val": []}
    for document, words in PARTS.items():
        with pymupdf.open() as pdf:
            for number, word in enumerate(words.split(), start=1):
                filler = " ".join(draw.choices([*words.split(), "inspect", "replace", "store"], k=25))
                page = pdf.new_page(width=200, height=280)
                page.insert_textbox(
                    (20, 20, 180, 260), f"The {word} needs care. {filler} {word} {word}.", fontsize=9
                )
                question = Question(
                    question_id=f"{document}-{number}",
                    text=f"What does the handbook say about the {word}?",
                    gold_page_ids=(f"{document}#{number}",),
                    answers=("It needs care.",),
                    data_source="faq",
                )
                questions["val" if document == "lamps" else "train"].append(question)
            pdf.save(pdfs / f"{document}.pdf")
    ingest_pdfs(pdfs, folder / "pages", ReadOptions())
    build_index(folder / "pages", folder / "index")
    for split, rows in questions.items():
        write_questions(folder / f"questions.{split}.parquet", rows, split)
    return folder


def scripted_message(config: EpisodeConfig, turn: int, draw: random.Random) -> str:
    """What a policy that knows the protocol might write: one or two searches for random words, then an answer."""
    query = " ".join(draw.sample(WORDS, draw.choice((1, 2))))
    search, answer = f"<search>{query}</search>", "<answer>It needs care.</answer>"
    if config.enough:
        answer = f"<enough>[{draw.randint(1, config.top_k)}]</enough>"
    if config.action_format == "tools":
        search = f'<tool_call>\n{{"name": "search", "arguments": {{"query": "{query}"}}}}\n</tool_call>'
        answer = "It needs care."
    return search if turn == 1 or (turn == 2 and draw.random() < 0.7) else answer


def dialogues(data: Path, config: EpisodeConfig, seed: int) -> Iterator[Driven]:
    """Finished episodes of the scripted policy, without end."""
    draw = random.Random(seed)
    index = Searching.load(data / "index")
    questions = [q for split in ("train", "val") for q in read_questions(data / f"questions.{split}.parquet")]
    while True:
        episode = Driven(draw.choice(questions), index, config)
        while not episode.stop_reason:
            turn = sum(message["role"] == "assistant" for message in episode.messages) + 1
            reply = episode.step(scripted_message(config, turn, draw), "stop")
            if isinstance(reply, Observation):
                episode.commit(reply)
        yield episode


def teach(model_dir: Path, data: Path, out: Path, config: EpisodeConfig, steps: int = 60) -> Path:
    """Train the model in ``model_dir`` on scripted dialogues (text only) and save it to ``out``."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # where cores are shared, two would wait for each other most of the time
    processor = AutoProcessor.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32)
    opening = processor.tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    episodes = dialogues(data, config, seed=1)
    for _ in range(steps):
        batch = [next(episodes) for _ in range(4)]
        texts = [
            processor.apply_chat_template(episode.messages, tools=episode.tools, tokenize=False)
            for episode in batch
        ]
        inputs = processor(text=texts, return_tensors="pt", padding=True)
        labels = torch.full_like(inputs["input_ids"], -100)
        for row, ids in enumerate(inputs["input_ids"].tolist()):
            for first, last in policy_spans(ids, opening, end):
                labels[row, first:last] = inputs["input_ids"][row, first:last]
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    torch.set_num_threads(threads)
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return out


def policy_spans(ids: Sequence[int], opening: Sequence[int], end: int) -> Iterator[tuple[int, int]]:
    """Where assistant messages stand, end token included: half-open ranges of token positions."""
    for start in range(len(ids) - len(opening)):
        if list(ids[start : start + len(opening)]) == list(opening):
            first = start + len(opening)
            yield first, ids.index(end, first) + 1


@dataclass
class Run:
    """A finished training run."""

    folder: Path
    returncode: int
    seconds: float
    log: str

    def trajectories(self, kind: str = "rollouts") -> list[dict[str, Any]]:
        """All rows that the replay buffer wrote, in the order of their steps."""
        files = sorted(
            (self.folder / kind).glob("*.trajectories.jsonl"), key=lambda path: int(path.name.split(".")[0])
        )
        return [loads(line) for path in files for line in path.read_text().splitlines()]

    def metric(self, name: str) -> dict[int, float]:
        """A metric by step, from verl's console lines ``step:N - name:value - ...``."""
        found = {}
        for line in self.log.splitlines():
            step = re.search(r"\bstep:(\d+) - ", line)
            value = re.search(rf" {re.escape(name)}:(?:np\.\w+\()?([-+.\deE]+|nan)", line)
            if step and value:
                found[int(step.group(1))] = float(value.group(1))
        return found


def start_training(
    algorithm: str, *, model: Path, data: Path, folder: Path, options: Sequence[str], **env: str
) -> Any:
    """Start a launch script in a session of its own; ``<folder>/train.log`` is the trainer's log.

    What the script itself says is added to ``<folder>/output.log``.
    """
    environment = {
        **os.environ,
        "MODEL": str(model),
        "DATA": str(data),
        "RUN": str(folder),
        "HARDWARE": "cpu",
        "DRAG_WEIGHT_SYNC_TIMEOUT_S": "60",
        "RAY_worker_niceness": "0",  # Ray's workers would give way to all other tests
        "RAY_memory_monitor_refresh_ms": "0",  # the other lane's memory is no reason to end this run
        **env,
    }
    small = [
        "data.train_batch_size=4",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype=fp32",
        "actor_rollout_ref.ref.fsdp_config.mixed_precision.param_dtype=fp32",
        "critic.fsdp.mixed_precision.param_dtype=fp32",
        "actor_rollout_ref.rollout.dtype=float32",
        "actor_rollout_ref.rollout.max_num_seqs=32",
        "drag.turn_tokens=48",
        "drag.episode.max_turns=3",
        "drag.episode.snippet_chars=80",
        "drag.episode.think=false",
        "trainer.v1.sampler.sampler_kwargs.dump_tokens=true",
    ]
    command = ["bash", str(ROOT / "scripts" / f"run_{algorithm}.sh"), *small, *options]
    folder.mkdir(exist_ok=True)
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, start_new_session=True, stdout=output, stderr=output
        )


def log_of(folder: Path) -> str:
    """What a run has logged; what its script has said, where the trainer has not started."""
    log = folder / "train.log"
    return (log if log.exists() else folder / "output.log").read_text(errors="replace")


def finish(process: Any, folder: Path, timeout_s: float) -> Run:
    """Wait for a run; past the time-out it is killed, with everything that it started, and the test fails."""
    started = time.monotonic()
    try:
        returncode = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        kill(process)
        raise AssertionError(f"no end after {timeout_s} s:\n{log_of(folder)[-3000:]}") from None
    finally:
        kill(process)
    return Run(folder, returncode, time.monotonic() - started, log_of(folder))


def processes(process: Any) -> list[psutil.Process]:
    """A run's launcher and all that it started, Ray's and vLLM's processes included."""
    try:
        launcher = psutil.Process(process.pid)
    except psutil.NoSuchProcess:
        return []
    return [launcher, *launcher.children(recursive=True)]


def kill(process: Any) -> None:
    """End a run as a power cut would: SIGKILL to every process of it."""
    for running in processes(process):
        with suppress(psutil.NoSuchProcess):
            running.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition: Callable[[], bool], process: Any, folder: Path, timeout_s: float) -> None:
    """Wait until something has happened in a run; fails if the run ends before, or past the time-out."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            kill(process)
            what = f"ended with {process.returncode}" if ended else f"did not get there in {timeout_s} s"
            raise AssertionError(f"the run {what}:\n{log_of(folder)[-3000:]}")
        time.sleep(0.5)


def train(algorithm: str, *, timeout_s: float = 900, **arguments: Any) -> Run:
    """Run a training to its end."""
    return finish(start_training(algorithm, **arguments), arguments["folder"], timeout_s)
