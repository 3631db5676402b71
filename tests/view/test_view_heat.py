"""Heat maps in a report: which hits are explained, and what is kept of a map."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from heat_samples import COLUMNS, ROWS, Hot, hot
from view_samples import outcome_of, question_of, write_trajectories

from drag_rl.cli.main import main
from drag_rl.protocol import EpisodeConfig
from drag_rl.retrieval.late.heat_map import CannotExplainError
from drag_rl.types import Outcome, Search, StopReason, Trajectory, Turn
from drag_rl.view import heat as heat_module
from drag_rl.view.heat import Heat, make_heat, queries_of, wanted_matches
from drag_rl.view.payload import payload
from drag_rl.view.rollout import Rollout


def rollout_of(ranks=(1,), number=0):
    outcome = outcome_of(question_of(number), ranks)
    return Rollout(trajectory=Trajectory(outcome=outcome), source="s", group="g")


def test_what_is_kept_of_a_map_is_a_byte_a_cell():
    heat = Heat.of([hot("rotor brake", (0, 0), (3, 2))])
    cells = np.frombuffer(base64.b64decode(heat.cells), np.uint8).reshape(-1, ROWS, COLUMNS)
    assert (heat.rows, heat.columns, heat.words, len(cells)) == (ROWS, COLUMNS, ("rotor", "brake"), 3)
    whole, rotor, brake = cells
    assert rotor[0, 0] == brake[3, 2] == round(255 * 11 / 12) and whole[0, 0] == whole[3, 2] == round(
        255 * 5 / 6
    )
    assert rotor[3, 2] == brake[0, 0] == 0 and (whole > 0).sum() == 2


def test_a_search_of_several_queries_has_the_words_of_all():
    heat = Heat.of([hot("rotor", (0, 0)), hot("brake disc", (1, 1), (2, 2))])
    assert heat.words == ("rotor", "brake", "disc")
    assert len(base64.b64decode(heat.cells)) == 4 * ROWS * COLUMNS


def test_a_question_that_is_searched_with_the_query_is_explained_with_it():
    search = Search(query="brake\nblades")
    outcome = Outcome(
        question=question_of(1),
        turns=(Turn(step=1, text="", action=search),),
        stop_reason=StopReason.MAX_TURNS,
        config=EpisodeConfig(expand_question=True),
        corpus_pages=5,
    )
    assert queries_of(outcome, search) == (
        "How is rotor 1 braked? brake",
        "How is rotor 1 braked? blades",
    )


def test_gold_pages_are_explained_first_then_what_is_seen_most():
    rollouts = [rollout_of((1,)), rollout_of((None,)), rollout_of((1,))]
    every = {"engine#1", "engine#2", "engine#3", "manuals/rotor#1"}
    matches = wanted_matches(rollouts, every, 10)
    query = ("rotor brake q0 1",)
    assert matches[0] == (query, "manuals/rotor#1")
    assert sorted(matches[1:3]) == [(query, "engine#2"), (query, "engine#3")] and len(matches) == 4
    assert wanted_matches(rollouts, every, 1) == matches[:1]
    assert wanted_matches(rollouts, {"engine#1"}, 10) == [(query, "engine#1")]


def test_maps_are_made_as_far_as_the_budget_goes(monkeypatch):
    matches = [(("rotor brake",), f"engine#{number}") for number in range(1, 5)]
    index = Hot(blind=frozenset({"engine#2"}))
    monkeypatch.setattr(heat_module, "BUDGET_BYTES", ROWS * COLUMNS * 4)
    found, notes = make_heat(index, matches)
    assert list(found) == [matches[0], matches[2]]
    assert notes == [
        "no heat map of page engine#2: page engine#2: cannot be rendered",
        "heat maps of 1 more hits would make the report too large",
    ]
    assert index.asked == [("rotor brake", f"engine#{number}") for number in (1, 2, 3)]


def test_the_maps_of_a_page_are_made_one_after_another():
    index = Hot()
    found, _ = make_heat(
        index, [((query,), page) for query, page in zip("abc", ("e#1", "e#2", "e#1"), strict=True)]
    )
    assert index.asked == [("a", "e#1"), ("c", "e#1"), ("b", "e#2")] and len(found) == 3


def test_an_index_that_cannot_explain_ends_it():
    class Blind:
        pages = Hot.pages
        fingerprint = "blind"

    with pytest.raises(CannotExplainError):
        make_heat(Blind(), [(("rotor",), "engine#1")])
    assert make_heat(Blind(), []) == ({}, [])


def test_the_payload_names_the_map_of_each_hit():
    rollouts = [rollout_of((1,))]
    heat, _ = make_heat(
        Hot(), [(("rotor brake q0 1",), "engine#2"), (("rotor brake q0 1",), "manuals/rotor#1")]
    )
    data = payload(rollouts, heat=heat)
    assert data["heat"] == [[ROWS, COLUMNS, ["rotor", "brake", "q0", "1"]]] * 2
    turn = data["rollouts"][0]["turns"][0]
    assert {data["pages"][page]: number for page, number in turn["heat"].items()} == {
        "engine#2": 0,
        "manuals/rotor#1": 1,
    }
    assert "heat" not in payload(rollouts)["rollouts"][0]["turns"][0]


def test_heat_maps_need_pictures_and_another_file_than_the_index(tmp_path, capsys):
    trajectories = write_trajectories(tmp_path / "t.jsonl", 1)
    with pytest.raises(SystemExit) as stop:
        main(["view", str(trajectories), "--out", str(tmp_path / "r.html"), "--explain", str(tmp_path)])
    assert stop.value.code == 2
    assert "--explain needs --pages" in capsys.readouterr().err
