"""A real small world, a model that speaks, and conversations to train on; made once for the slow tests here."""

from __future__ import annotations

import random
from itertools import islice

import late_world
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import training_lab
import trajectory_lab as lab
from shared_world import built_once
from tiny_corpus import Searching

from drag_rl.episode import EpisodeConfig, as_text
from drag_rl.questions import read_questions
from drag_rl.star.formats.build import FormatOptions, write_training_data


@pytest.fixture(scope="session")
def world(tiny_data, tiny_model, tmp_path_factory):
    """A folder with ``data``, a random ``model``, and SFT and DPO files of scripted dialogues."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "data").symlink_to(tiny_data)
    (folder / "model").symlink_to(tiny_model)
    config = EpisodeConfig(max_turns=3, think=False, snippet_chars=80)
    rows, pairs, draw = [], [], random.Random(0)
    for number, episode in enumerate(islice(training_lab.dialogues(folder / "data", config, seed=3), 40)):
        messages = [{"role": message["role"], "content": as_text(message)} for message in episode.messages]
        said = len(episode.outcome().turns)
        rank = number % 3 + 1
        rows.append(
            {
                "messages": messages,
                "images": [],
                "turn_train": [number % 2 == 0, *[True] * (said - 1)],
                "rank_score": (4 - rank) / 3,
                "best_rank": rank,
            }
        )
        good, bad = draw.sample(training_lab.WORDS, 2)
        pairs.append(
            {
                "prompt": messages[:2],
                "chosen": [{"role": "assistant", "content": f"<search>{good}</search>"}],
                "rejected": [{"role": "assistant", "content": f"<search>{bad} {bad}</search>"}],
                "images": [],
            }
        )
    for name, all_rows in (("sft_trajectory", rows), ("dpo", pairs)):
        pq.write_table(pa.Table.from_pylist(all_rows[:32]), folder / f"{name}_train.parquet")
        pq.write_table(pa.Table.from_pylist(all_rows[32:]), folder / f"{name}_val.parquet")
    return folder


@pytest.fixture(scope="session")
def shown(world, tmp_path_factory):
    """A folder of ``drag format``, from episodes that show page images in later turns.

    Two samples of each of four questions search alike and see pages, then one of them finds the gold page.
    """
    folder = tmp_path_factory.mktemp("shown")
    data = world / "data"
    index = Searching.load(data / "index")
    config = EpisodeConfig(observation="both", max_turns=3, think=False, snippet_chars=40)
    trajectories = [
        lab.played(index, question, [lab.search("steam drum"), lab.search(query)], config, sample=sample)
        for question in read_questions(data / "questions.train.parquet")[:4]
        for sample, query in enumerate((question.text.split()[-1].strip("?"), "zebra"))
    ]
    source = lab.write(folder / "processed.jsonl", trajectories, config)
    options = FormatOptions(
        formats=("sft_trajectory", "dpo"), pages=data / "pages", max_pixels=20_000, val_split=0
    )
    write_training_data(source, folder / "data", options)
    return folder / "data"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A tiny retriever model of random weights."""
    return built_once(tmp_path_factory, "untrained-retriever", late_world.new_model) / "untrained"


@pytest.fixture
def retriever(untrained):
    """That model as an encoder, ready to train."""
    from drag_rl.retrieval.late.embedder import MultiVectorSettings
    from drag_rl.retrieval.late.loading import load_encoder

    settings = MultiVectorSettings(model=str(untrained), device="cpu", dtype="float32")
    return load_encoder(settings, trainable=True)


@pytest.fixture(scope="session")
def symbol_pages():
    """Images of pages of symbols."""
    return [late_world.page_image(places) for places in late_world.draw_pages()["train"][:8]]


@pytest.fixture(scope="session")
def symbols(tmp_path_factory):
    """A small world of symbols: its folder of pages and its questions, without a model."""
    return built_once(tmp_path_factory, "symbols", late_world.make_small_world)
