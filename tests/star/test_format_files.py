"""``drag format``'s files: every row is counted, splits share no document, and what cannot be is refused."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import trajectory_lab as lab
from format_lab import INDEX, PUMPS, all_rows, build, documents, files, rows_in, story
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import Searching, page_of

from drag_rl.corpus.images import PageImages
from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.corpus.pages import write_pages
from drag_rl.corpus.renderer import PageRenderError, Renderer
from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import build_index
from drag_rl.star.formats.build import FORMATS, FormatOptions, select_formats, write_training_data
from drag_rl.tables import Table
from drag_rl.types import Question


@settings(max_examples=8)
@given(
    trajectories=lab.files_of_trajectories(INDEX),
    val_split=st.sampled_from([0.0, 0.1, 0.4, 0.9]),
    draw=st.randoms(),
)
def test_splits_counts_and_bytes(trajectories, val_split, draw):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, manifest = build(folder, trajectories, val_split=val_split)
        before = files(folder / "data")
        draw.shuffle(trajectories)
        build(folder, trajectories, val_split=val_split)
        assert files(folder / "data") == before, "the order of the trajectories matters"
        assert {path.name for path in (folder / "data").iterdir()} == {*before, "manifest.json"}
        for stem, found_rows in rows.items():
            table = pq.read_table(folder / "data" / f"{stem}.parquet")
            assert table.to_pylist() == found_rows
            assert manifest.counts[stem] == len(found_rows)
    # No document is on both sides, and training keeps one.
    sides = {split: documents(rows, split) for split in ("train", "val")}
    assert not sides["train"] & sides["val"]
    assert "train" in manifest.config["documents"].values()
    if not val_split:
        assert not sides["val"]
    # Every trajectory, and every search of it, is accounted for.
    counts = Counter(manifest.counts)
    assert counts["trajectories"] == len(trajectories)
    whole = len(all_rows(rows, "sft_trajectory"))
    assert whole + counts["sft_trajectory_nothing_to_learn"] == len(trajectories)
    wins = [(t, turn) for t in trajectories for turn in t.outcome.turns if t.outcome.finds(turn)]
    assert len(all_rows(rows, "sft_query")) == len(wins)
    best = all_rows(rows, "sft_best")
    questions = {t.outcome.question.question_id for t in trajectories}
    assert {row["question_id"] for row in best} == {t.outcome.question.question_id for t, _ in wins}
    assert len(best) + counts["sft_best_without_success"] == len(questions)
    made = sum(len(t.outcome.searches) for t in trajectories)
    assert len(all_rows(rows, "reward")) + counts["reward_repeated_query"] == made
    pairs = counts["dpo_pairs_within"] + counts["dpo_pairs_across"]
    assert len(all_rows(rows, "dpo")) == pairs
    left_out = sum(
        counts[f"dpo_{why}"] for why in ("same_query", "below_margin", "repeated", "contradicting")
    )
    assert pairs + left_out == sum(candidates(group) for group in by_question(trajectories))


def by_question(trajectories):
    groups = {}
    for trajectory in trajectories:
        groups.setdefault(trajectory.outcome.question.question_id, []).append(trajectory)
    return groups.values()


def candidates(group):
    """How many pairs of queries share a trajectory, or all that was said before them."""
    within = sum(len(list(combinations(t.outcome.searches, 2))) for t in group)
    said = Counter(
        tuple(t.text for t in trajectory.outcome.turns[: turn.step - 1])
        for trajectory in group
        for turn in trajectory.outcome.searches
    )
    return within + sum(n * (n - 1) // 2 for n in said.values())


def test_documents_stay_on_their_side(tmp_path):
    many = [lab.played(INDEX, question, [lab.search("impeller care needs")]) for question in lab.QUESTIONS]
    _, first = build(tmp_path / "1", many, val_split=0.3)
    held_out = {name for name, split in first.config["documents"].items() if split == "val"}
    assert held_out
    few = [t for t in many if t.outcome.question.gold_page_ids[0].partition("#")[0] in held_out]
    _, alone = build(tmp_path / "2", few, val_split=0.3)
    assert set(alone.config["documents"].values()) != {"val"}  # training takes what there is
    rows, _ = build(tmp_path / "3", few, val_split=0.3, split_from=tmp_path / "1" / "data")
    assert documents(rows, "val") == held_out
    assert not documents(rows, "train")


def test_copies_of_a_document_stay_on_one_side(tmp_path):
    """Every document is a copy of one other by its bytes; which they are, the folder of pages says."""
    many = [lab.played(INDEX, question, [lab.search("impeller care needs")]) for question in lab.QUESTIONS]
    names = sorted(lab.DOCUMENTS)
    pages = [
        replace(page_of(name, 1, "Care."), source_sha256=f"bytes {number // 2}")
        for number, name in enumerate(names)
    ]
    write_pages(tmp_path / "pages", pages, stage="ingest", pdf_dir=None)
    _, manifest = build(tmp_path / "1", many, val_split=0.3, pages=tmp_path / "pages")
    split = manifest.config["documents"]
    assert set(split.values()) == {"train", "val"}
    assert all(split[one] == split[other] for one, other in zip(names[::2], names[1::2], strict=False))


def test_only_the_formats_asked_for(tmp_path):
    rows, manifest = build(tmp_path, story(), EpisodeConfig(), formats=select_formats("dpo,sft_best"))
    assert set(rows) == {"sft_best_train", "sft_best_val", "dpo_train", "dpo_val"}
    assert manifest.config["formats"] == ["sft_best", "dpo"]
    assert select_formats("all") == tuple(FORMATS)
    with pytest.raises(InputError, match="unknown format 'sft'"):
        select_formats("sft,dpo")


def test_formats_of_an_earlier_run_are_not_left_beside_new_ones(tmp_path):
    build(tmp_path, story(), EpisodeConfig(), formats=("sft_best", "dpo"))
    before = files(tmp_path / "data")
    with pytest.raises(InputError, match=r"holds dpo_train\.jsonl of an earlier run with other formats"):
        build(tmp_path, story(), EpisodeConfig(), formats=("sft_best",))
    assert files(tmp_path / "data") == before
    build(tmp_path, story(), EpisodeConfig(), formats=("sft_best", "dpo", "reward"))
    assert files(tmp_path / "data").keys() > before.keys()


def test_settings_that_are_unknown_or_wrong_are_named(tmp_path):
    source = lab.write(tmp_path / "p.jsonl", story(), None)
    with pytest.raises(InputError, match="no manifest says with which episode settings"):
        write_training_data(source, tmp_path / "data", FormatOptions())
    chosen = write_training_data(source, tmp_path / "data", FormatOptions(), lambda _: EpisodeConfig())
    assert chosen.counts["trajectories"] == 2
    source = lab.write(tmp_path / "p.jsonl", story(), EpisodeConfig(top_k=5))
    with pytest.raises(InputError, match="traj_pumps-1_0 was collected with top_k=3, not 5"):
        write_training_data(source, tmp_path / "data", FormatOptions())
    assert read_manifest(tmp_path / "data") == chosen  # what was there stays


def test_inputs_that_cannot_be_are_named(tmp_path):
    source = lab.write(tmp_path / "p.jsonl", [])
    with pytest.raises(InputError, match="holds no trajectory"):
        write_training_data(source, tmp_path / "data", FormatOptions())
    twin = replace(PUMPS, text="Something else?")
    both = [
        lab.played(INDEX, question, [lab.search("seal")], sample=n)
        for n, question in enumerate((PUMPS, twin))
    ]
    with pytest.raises(InputError, match="make question ids unique"):
        build(tmp_path, both)
    lab.make_index(tmp_path)
    with pytest.raises(InputError, match="was made by ingest"):
        write_training_data(
            lab.write(tmp_path / "p.jsonl", story(), EpisodeConfig()),
            tmp_path / "pages",
            FormatOptions(),
        )
    with pytest.raises(InputError, match="is no folder of drag format"):
        build(tmp_path, story(), EpisodeConfig(), split_from=tmp_path / "pages")


def test_an_unfinished_run_leaves_what_was_there(tmp_path, monkeypatch):
    source = lab.write(tmp_path / "processed.jsonl", story(), EpisodeConfig())
    write_training_data(source, tmp_path / "data", FormatOptions())
    before = files(tmp_path / "data")
    broken_format = replace(FORMATS["reward"], rows=lambda _: broken)
    table = Table("format", {**FORMATS, "reward": broken_format})
    monkeypatch.setattr("drag_rl.star.formats.build.FORMATS", table)
    with pytest.raises(ZeroDivisionError):
        write_training_data(source, tmp_path / "data", FormatOptions(margin=0.9))
    assert files(tmp_path / "data") == before
    assert {path.name for path in (tmp_path / "data").iterdir()} == {*before, "manifest.json"}


def broken(*_):
    yield {"question": 1 / 0}


def test_page_images_are_rendered_once_and_named(tmp_path, pdf_dir, monkeypatch):
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions())
    build_index(tmp_path / "pages", tmp_path / "index")
    config = EpisodeConfig(observation="both", think=False)
    question = Question(question_id="q", text="Which <image> of the engine?", gold_page_ids=("engine#2",))
    texts = [lab.search("rotor"), "<search>stopping</search> as in <image>", lab.answer("So [engine#2].")]
    trajectory = lab.played(Searching.load(tmp_path / "index"), question, texts, config)
    shown = [page_id for turn in trajectory.outcome.turns for page_id in turn.image_page_ids]
    assert len(shown) >= 2
    source = lab.write(tmp_path / "processed.jsonl", [trajectory], config)
    with pytest.raises(InputError, match=r"was shown images of pages.*give --pages"):
        write_training_data(source, tmp_path / "data", FormatOptions())
    options = FormatOptions(pages=tmp_path / "pages", max_pixels=20_000)
    write_training_data(source, tmp_path / "data", options)
    rows = rows_in(tmp_path / "data")
    (row,) = all_rows(rows, "sft_trajectory")
    pages = PageImages(tmp_path / "pages", tmp_path / "data" / "images", max_pixels=20_000)
    assert row["images"] == [{"image": str(pages.path(page_id))} for page_id in shown]
    assert "".join(m["content"] for m in row["messages"]).count("<image>") == len(shown)
    assert "as in \u2039image>" in row["messages"][4]["content"]
    (query,) = all_rows(rows, "sft_query")
    assert query["images"] == []
    # Where a page cannot be rendered there is a blank image, and it is counted.
    monkeypatch.setattr("drag_rl.corpus.images.shared_renderer", Stalls)
    manifest = write_training_data(source, tmp_path / "blank", options)
    (row,) = all_rows(rows_in(tmp_path / "blank"), "sft_trajectory")
    assert all(Path(image["image"]).is_file() for image in row["images"]) and len(row["images"]) == len(shown)
    assert manifest.counts["blank_pages"] == len(set(shown))


class Stalls(Renderer):
    """Cannot render anything."""

    def render(self, request):  # noqa: ARG002
        raise PageRenderError("takes too long", stalled=True)


def test_images_of_a_question_must_be_there(tmp_path):
    picture = tmp_path / "q.png"
    question = replace(PUMPS, images=(str(picture),))
    trajectory = lab.played(INDEX, question, [lab.search("impeller")])
    with pytest.raises(InputError, match=r"q\.png: is not there"):
        build(tmp_path, [trajectory])
    picture.touch()
    (row,) = all_rows(build(tmp_path, [trajectory])[0], "sft_query")
    assert row["images"] == [{"image": str(picture)}]
    assert row["messages"][1]["content"].startswith("<image>What")
