"""Curves of a run are the means of its dumps, and verl's events where it wrote any."""

from __future__ import annotations

from view_samples import RANKS, write_run

from drag_rl.training.dumps import read_curve
from drag_rl.view.curves import run_panels


def test_panels_are_the_means_of_each_step(tmp_path):
    panels, notes = run_panels(write_run(tmp_path / "run", steps=3))
    found = {panel.title: panel for panel in panels}
    assert list(found) == ["Reward", "Rank score", "Hit@1", "Turns", "Duplicate queries", "Malformed"]
    assert "no TensorBoard events" in notes[0]
    assert [step for step, _ in found["Reward"].series["training"]] == [1, 2, 3]
    assert [step for step, _ in found["Reward"].series["validation"]] == [0, 3]
    turns = sum(len(ranks) + 1 for ranks in RANKS) / len(RANKS)
    assert found["Turns"].series["training"][0] == (1, turns)
    assert found["Hit@1"].series["validation"][0] == (0, 1.0)
    assert found["Malformed"].series["training"][0] == (1, 0.0)


def test_entropy_and_length_come_from_events_the_last_word_counts(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    run = write_run(tmp_path / "run")
    for start, value in ((1, 3.0), (2, 2.0)):  # the second is a resumed run
        with SummaryWriter(str(run / "tensorboard")) as writer:
            for step in range(start, 4):
                writer.add_scalar("actor/entropy", value / step, step)
    panels, notes = run_panels(run)
    entropy = next(panel for panel in panels if panel.title == "Entropy")
    assert [step for step, _ in entropy.series["training"]] == [1, 2, 3]
    assert entropy.series["training"][1] == (2, 1.0)
    assert notes == ["no curve of response length: the run did not log response_length/mean"]


def test_where_verl_logs_no_entropy_the_sampled_one_is_drawn(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    run = write_run(tmp_path / "run")
    with SummaryWriter(str(run / "tensorboard")) as writer:
        writer.add_scalar("drag/sampled_entropy", 1.5, 1)
    panels, _ = run_panels(run)
    assert [panel.series["training"] for panel in panels if panel.title == "Entropy"] == [((1, 1.5),)]
    with SummaryWriter(str(run / "tensorboard")) as writer:
        writer.add_scalar("actor/entropy", 2.0, 1)
    panels, _ = run_panels(run)
    assert [panel.series["training"] for panel in panels if panel.title == "Entropy"] == [((1, 2.0),)]


def test_lines_end_with_a_line_feed_alone(tmp_path):
    run = write_run(tmp_path / "run")
    path = run / "rollouts" / "1.trajectories.jsonl"
    before = read_curve(run / "rollouts")
    path.write_text(path.read_text().replace("snippet of", "snippet\u2028\x85of"), encoding="utf-8")
    assert read_curve(run / "rollouts") == before
