"""Results of an evaluation are shown through their trajectories, with the metrics of each question."""

from __future__ import annotations

import pytest
from view_samples import GENERATED, results_of

from drag_rl.errors import InputError
from drag_rl.view.payload import payload
from drag_rl.view.read import read_rollouts
from drag_rl.view.sources import find_sources


def test_results_show_their_trajectories_with_metrics(tmp_path):
    selection = read_rollouts(find_sources([results_of(tmp_path)]), 0)
    assert len(selection.rollouts) == 12
    first = selection.rollouts[0]
    assert first.source == "base.json" and first.reward is None
    assert first.scores["Success Rate"] == 0.5


def test_a_folder_that_was_moved_keeps_its_trajectories(tmp_path):
    (tmp_path / "before").mkdir()
    results_of(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert len(read_rollouts(find_sources([tmp_path / "after" / "base.json"]), 0).rollouts) == 12
    (tmp_path / "after" / "base.trajectories.jsonl").unlink()
    with pytest.raises(InputError, match=r"put base\.trajectories\.jsonl beside it"):
        find_sources([tmp_path / "after" / "base.json"])


def test_two_results_are_two_batches(tmp_path):
    selection = read_rollouts(find_sources([results_of(tmp_path, "base"), results_of(tmp_path, "tuned")]), 0)
    assert {rollout.source for rollout in selection.rollouts} == {"base.json", "tuned.json"}
    assert len({rollout.group for rollout in selection.rollouts}) == 6


def test_what_a_generator_answered_is_shown_with_its_citations_and_scores(tmp_path):
    selection = read_rollouts(find_sources([results_of(tmp_path, generated=GENERATED)]), 0)
    data = payload(selection.rollouts)
    first = data["rollouts"][2 * 4]  # of question 2, whose gold page is manuals/rotor#1
    cited = [[data["pages"][page], gold, given] for page, gold, given in first["generated"]["citations"]]
    assert cited == [["manuals/rotor#1", True, True], ["engine#99", False, False]]
    assert [data["pages"][page] for page in first["generated"]["given"]] == list(GENERATED.page_ids)
    assert (
        first["generated"]["text"] == GENERATED.text and first["scores"]["Generator Citation Recall"] == 1.0
    )
    plain = payload(read_rollouts(find_sources([results_of(tmp_path, "plain")]), 0).rollouts)
    assert "generated" not in plain["rollouts"][0]
