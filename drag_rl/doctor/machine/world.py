"""A small real world to train in: PDFs -> pages -> index -> questions, and conversations that teach the protocol."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.corpus.ingest import ingest_pdfs
from drag_rl.corpus.pdf_pages import ReadOptions
from drag_rl.episode import EpisodeConfig, Observation, SearchEpisode, SearchRequest
from drag_rl.mupdf import pymupdf
from drag_rl.questions import write_questions
from drag_rl.retrieval import build_index, open_retriever
from drag_rl.retrieval.base import Retriever
from drag_rl.star.formats.sft import schema
from drag_rl.types import Question

PARTS = {
    "pumps": "impeller seal cavitation discharge priming",
    "turbines": "blade nozzle rotor stage steam",
    "cables": "copper sheath conductor insulation drum",
    "valves": "gate stem bonnet packing seat",
    "lamps": "filament ballast lumen socket dimmer",
}
"""Document -> what its pages are about, one page a word; the last one's questions are for validation."""
WORDS = tuple(word for words in PARTS.values() for word in words.split())
EPISODE = {"max_turns": 3, "snippet_chars": 80, "think": False}
"""Of every episode: two searches and an answer."""
CONVERSATIONS = 480


@dataclass(frozen=True, slots=True)
class World:
    """What the stages train on."""

    data: Path
    """index/, pages/, questions.{train,val}.parquet."""
    conversations: Path
    """Rows for run_sft.sh."""


def make_world(folder: Path) -> World:
    """Write it; the same each time."""
    data = folder / "data"
    _write_pdfs(folder / "pdfs")
    ingest_pdfs(folder / "pdfs", data / "pages", ReadOptions())
    build_index(data / "pages", data / "index")
    questions = {split: list(_questions(split)) for split in ("train", "val")}
    for split, asked in questions.items():
        write_questions(data / f"questions.{split}.parquet", asked, split)
    conversations = folder / "conversations_train.parquet"
    episodes = _episodes(open_retriever(data / "index"), questions["train"])
    columns = schema(None)
    rows = [_row(episode) for episode in asyncio.run(episodes)]
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), conversations)
    return World(data, conversations)


def _write_pdfs(folder: Path) -> None:
    folder.mkdir(parents=True)
    draw = random.Random(0)
    for document, words in PARTS.items():
        with pymupdf.open() as pdf:
            for word in words.split():
                filler = " ".join(draw.choices([*words.split(), "inspect", "replace", "store"], k=25))
                text = f"The {word} needs care. {filler} {word} {word}."
                pdf.new_page(width=200, height=280).insert_textbox((20, 20, 180, 260), text, fontsize=9)
            pdf.save(folder / f"{document}.pdf")


def _questions(split: str) -> Iterator[Question]:
    for document, words in PARTS.items():
        if (document == "lamps") == (split == "val"):
            for number, word in enumerate(words.split(), start=1):
                yield Question(
                    question_id=f"{document}-{number}",
                    text=f"What does the handbook say about the {word}?",
                    gold_page_ids=(f"{document}#{number}",),
                    answers=("It needs care.",),
                    data_source="faq",
                )


async def _episodes(retriever: Retriever, questions: list[Question]) -> list[SearchEpisode]:
    """Finished episodes of a policy that knows the protocol and searches for random words."""
    draw = random.Random(1)
    config = EpisodeConfig.from_mapping(EPISODE, "check")
    episodes = []
    for _ in range(CONVERSATIONS):
        episode = SearchEpisode(draw.choice(questions), retriever.pages, config)
        turn = 0
        while not episode.stop_reason:
            turn += 1
            text = "<answer>It needs care.</answer>"
            if turn == 1 or (turn == 2 and draw.random() < 0.7):
                text = f"<search>{' '.join(draw.sample(WORDS, draw.choice((1, 2))))}</search>"
            reply = episode.step(text, "stop")
            if isinstance(reply, SearchRequest):
                reply = episode.show(await retriever.search(reply.queries, reply.top_k))
            if isinstance(reply, Observation):
                episode.commit(reply)
        episodes.append(episode)
    return episodes


def _row(episode: SearchEpisode) -> dict[str, object]:
    messages = [{"role": message["role"], "content": message["content"]} for message in episode.messages]
    said = sum(message["role"] == "assistant" for message in messages)
    question = episode.outcome().question
    return {
        "messages": messages,
        "images": [],
        "turn_train": [True] * said,
        "rank_score": 1.0,
        "best_rank": 1,
        "question_id": question.question_id,
        "sample": 0,
        "step": said,
        "hinted": False,
        "document": question.gold_page_ids[0].partition("#")[0],
        "data_source": question.data_source,
    }
