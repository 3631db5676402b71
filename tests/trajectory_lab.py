"""Trajectories for tests: scripted policies play the real SearchEpisode over a small real index."""

from __future__ import annotations

import asyncio
import atexit
import random
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tiny_corpus import Searching, page_of

from drag_rl.corpus import pages as corpus
from drag_rl.episode import EpisodeConfig
from drag_rl.files.manifest import sha256_file, write_manifest
from drag_rl.policies.base import EpisodeState, Reply
from drag_rl.policies.play import play
from drag_rl.retrieval import build_index
from drag_rl.trajectories.rows import write_row
from drag_rl.types import Question, Trajectory

DOCUMENTS = {
    "pumps": "impeller seal cavitation discharge",
    "turbines": "blade nozzle rotor stage",
    "cables": "copper sheath conductor insulation",
    "valves": "gate stem bonnet packing",
    "lamps": "filament ballast lumen socket",
}
"""Document -> what its pages are about, one page a word."""
WORDS = tuple(word for words in DOCUMENTS.values() for word in words.split())
QUESTIONS = tuple(
    Question(
        question_id=f"{document}-{number}",
        text=f"What does the handbook say about the {word}?",
        gold_page_ids=(f"{document}#{number}",),
        answers=("It needs care.",),
        data_source="faq" if number % 2 else "outline",
    )
    for document, words in DOCUMENTS.items()
    for number, word in enumerate(words.split(), start=1)
)
PLAIN = EpisodeConfig(think=False)


def make_index(folder: Path) -> Searching:
    """An index over 20 pages that share many words, so that ranks differ."""
    draw = random.Random(0)
    pages = []
    for document, words in DOCUMENTS.items():
        for number, word in enumerate(words.split(), start=1):
            filler = " ".join(draw.choices([*words.split(), *WORDS, "inspect", "replace"], k=25))
            pages.append(page_of(document, number, f"The {word} needs care. {filler}.{f' {word}' * 6}."))
    corpus.write_pages(
        folder / "pages", sorted(pages, key=lambda page: page.page_id), stage="ingest", pdf_dir=None
    )
    build_index(folder / "pages", folder / "index")
    return Searching.load(folder / "index")


@cache
def shared_index() -> Searching:
    """The index of :func:`make_index`, made once a process for all who only search it."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_index(Path(folder))


class Script:
    """A policy that says the given texts, and then that it does not know."""

    def __init__(self, texts: Sequence[str], config: EpisodeConfig) -> None:
        self._texts = [*texts]
        self._last = answer("I do not know.", config)

    async def reply(self, state: EpisodeState) -> Reply:
        text = self._texts.pop(0) if self._texts else self._last
        return Reply(text=text, prompt_tokens=100 * len(state.messages), completion_tokens=10)


def search(query: str, config: EpisodeConfig = PLAIN, thought: str = "") -> str:
    """A message that searches."""
    before = f"<think>{thought}</think>" if thought else ""
    if config.action_format == "xml":
        return f"{before}<search>{query}</search>"
    return f'{before}<tool_call>\n{{"name": "search", "arguments": {{"query": "{query}"}}}}\n</tool_call>'


def answer(text: str, config: EpisodeConfig = PLAIN) -> str:
    """A message that answers."""
    return f"<answer>{text}</answer>" if config.action_format == "xml" else text


def played(
    index: Searching, question: Question, texts: Sequence[str], config: EpisodeConfig = PLAIN, **fields: Any
) -> Trajectory:
    """The trajectory of a scripted policy; ``fields`` are those of a Trajectory."""
    outcome, generations = asyncio.run(play(question, Script(texts, config), index.retriever, config))
    return Trajectory(outcome=outcome, generations=generations, **{"model": "script", **fields})


def write(path: Path, trajectories: Iterable[Trajectory], config: EpisodeConfig | None = PLAIN) -> Path:
    """A file as the collector leaves it; without a manifest if ``config`` is None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(write_row(trajectory) + "\n" for trajectory in trajectories))
    if config is not None:
        settings = {"episode": config.model_dump(mode="json")}
        write_manifest(path, stage="collect", fingerprint=sha256_file(path), config=settings)
    return path


def scripts(config: EpisodeConfig = PLAIN) -> st.SearchStrategy[list[str]]:
    """What a policy may write in an episode: searches for few of few words, nonsense, answers."""
    words = st.lists(st.sampled_from(WORDS[:8]), min_size=1, max_size=3).map(" ".join)
    says = st.one_of(
        words.map(lambda query: search(query, config)),
        words.map(lambda query: search(query, config, thought="Other words.")),
        st.sampled_from(["<search>open <image> a</search><search>", answer("See [pumps#1].", config)]),
    )
    return st.lists(says, min_size=1, max_size=config.max_turns)


def files_of_trajectories(
    index: Searching, config: EpisodeConfig = PLAIN
) -> st.SearchStrategy[list[Trajectory]]:
    """Some trajectories of some questions, each (question, sample) once, in any order."""
    some = st.lists(st.tuples(st.sampled_from(QUESTIONS), scripts(config)), min_size=1, max_size=12)

    def play_all(plan: list[tuple[Question, list[str]]]) -> list[Trajectory]:
        samples: dict[str, int] = {}
        trajectories = []
        for question, texts in plan:
            sample = samples.setdefault(question.question_id, 0)
            samples[question.question_id] += 1
            trajectories.append(played(index, question, texts, config, sample=sample))
        return trajectories

    return some.map(play_all).flatmap(st.permutations)
