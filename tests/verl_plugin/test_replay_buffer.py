"""The replay buffer on a real queue: what it hands to the trainer, and when it ends the run."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict

import pytest
from queue_lab import Trainer, defaults

from drag_rl.files.codec import from_json
from drag_rl.types import Outcome
from drag_rl.verl_plugin.shaping import ShapingConfig, token_rewards
from reward.table import RewardConfig, compute_reward

pytestmark = pytest.mark.slow

PAIRS = "actor_rollout_ref.rollout.n=2"


@pytest.fixture(scope="module")
def ray_and_queue():
    """A Ray of its own, and in it TransferQueue as a training starts it."""
    import ray
    import transfer_queue as tq

    ray.init("local", num_cpus=4, include_dashboard=False, object_store_memory=100_000_000)
    tq.init(defaults().transfer_queue)
    yield
    tq.close()
    ray.shutdown()


@pytest.fixture
def queue(ray_and_queue):  # noqa: ARG001
    import transfer_queue as tq

    yield tq
    for partition, keys in (tq.kv_list() or {}).items():
        if keys:
            tq.kv_clear(keys=list(keys), partition_id=partition)


def finds(word, rollout, turn):
    """Every other rollout of a question finds the gold page by its second search, the rest of them find nothing."""
    searches = ["zebra", word if rollout % 2 else "giraffe"]
    return f"<search>{searches[turn - 1]}</search>" if turn < 3 else "<answer>It needs care.</answer>"


def finds_nothing(word, _rollout, turn):
    """All rollouts of a question do the same."""
    return finds(word, 0, turn)


def test_what_is_shaped_and_dumped_is_what_the_trainer_reads(queue, tiny, data, tmp_path):
    shaping = {"turn_credit": {"weights": {"rank_score_gain": 0.5}}, "group": {"combine": "multiply"}}
    trainer = Trainer(
        tiny,
        data,
        finds,
        PAIRS,
        "drag.shaping.turn_credit.weights.rank_score_gain=0.5",
        "drag.shaping.group.combine=multiply",
        f"trainer.rollout_data_dir={tmp_path}",
        "trainer.v1.sampler.sampler_kwargs.dump_tokens=true",
    )
    batch, metrics = trainer.step(7)
    rows = [json.loads(line) for line in (tmp_path / "7.trajectories.jsonl").read_text().splitlines()]
    wanted = token_rewards(
        [row["uid"] for row in rows],
        [from_json(Outcome, json.dumps(row["outcome"])) for row in rows],
        [0.0] * len(rows),
        [row["response_mask"] for row in rows],
        ShapingConfig.from_mapping(shaping, "drag.shaping"),
    )
    read = queue.kv_batch_get(keys=batch.keys, partition_id="train", select_fields=["rm_scores"])["rm_scores"]
    assert len(rows) == 4 and any(any(row[:-1]) for row in wanted)
    for row, rewards, seen in zip(rows, wanted, read, strict=True):
        assert row["rm_scores"] == pytest.approx(rewards)
        assert seen.tolist() == pytest.approx(rewards)
    found = [row["breakdown"]["deep_rank"] for row in rows]
    assert sum(value > 0 for value in found) == 2
    assert metrics["drag/deep_rank/mean"] == pytest.approx(sum(found) / 4)
    assert metrics["guard/zero_variance_groups"] == 0.0
    assert metrics["drag/sampled_entropy"] == 0.5  # the script's engine says -0.5 of each token


def test_validation_is_written_apart_and_not_shaped(queue, tiny, data, tmp_path):  # noqa: ARG001
    folders = [f"trainer.rollout_data_dir={tmp_path}/train", f"trainer.validation_data_dir={tmp_path}/val"]
    says = lambda word, _, turn: finds(word, 1, turn)  # noqa: E731
    trainer = Trainer(tiny, data, says, *folders, "drag.shaping.turn_credit.weights.novelty=1.0")
    batch, metrics = trainer.step(3, partition="val")
    rows = [json.loads(line) for line in (tmp_path / "val" / "3.trajectories.jsonl").read_text().splitlines()]
    assert len(rows) == len(batch.keys) == 2
    earned = [
        compute_reward(from_json(Outcome, json.dumps(row["outcome"])), RewardConfig())[0] for row in rows
    ]
    assert [row["reward"] for row in rows] == pytest.approx(earned) and all(earned)
    assert not (tmp_path / "train").exists()
    assert not any(name.startswith(("drag/", "guard/")) for name in metrics)


def test_groups_without_variance_are_replaced(queue, tiny, data):  # noqa: ARG001
    """All rollouts of the first two questions find nothing."""
    words = []

    def says(word, rollout, turn):
        words.extend([word] if word not in words else [])
        return finds(word, rollout if words.index(word) > 1 else 0, turn)

    trainer = Trainer(
        tiny,
        data,
        says,
        PAIRS,
        "data.train_batch_size=2",
        "algorithm.filter_groups.enable=true",
        "algorithm.filter_groups.metric=deep_rank",
    )
    batch, metrics = trainer.step(1)
    assert metrics["training/filter_groups/evicted_samples"] == 2
    assert metrics["guard/zero_variance_groups"] == 0.0
    groups = defaultdict(list)
    for key in batch.keys:
        groups[key.rsplit("_", 2)[0]].append(key)
    assert sorted(map(len, groups.values())) == [2, 2]


def damaged(data, folder):
    """The same data with an index that has lost a byte after the questions were made."""
    (folder / "index").mkdir(parents=True)
    for path in data.iterdir():
        if path.name != "index":
            (folder / path.name).symlink_to(path)
    for path in (data / "index").rglob("*"):
        target = folder / "index" / path.relative_to(data / "index")
        if path.is_dir():
            target.mkdir()
        else:
            content = path.read_bytes()
            target.write_bytes(content[:-1] if path.suffix == ".npy" else content)
    return folder


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ((), "InputError: .*index"),
        (("data.max_prompt_length=50",), "ValueError: .*max_prompt_length allows 50"),
        (("drag.episode.observation=image", "drag.pages=null"), r"ValueError: .*drag\.pages must name"),
    ],
    ids=["damaged_index", "long_prompt", "images_without_pages"],
)
def test_a_failing_rollout_ends_the_step_with_its_cause(queue, tiny, data, tmp_path, options, cause):  # noqa: ARG001
    world = data if options else damaged(data, tmp_path / "data")
    with pytest.raises(RuntimeError, match=rf"^\d rollout group\(s\) failed: {cause}"):
        Trainer(tiny, world, finds, PAIRS, *options).step(1)


def test_one_failing_rollout_of_a_group_is_enough(queue, tiny, data):  # noqa: ARG001
    """verl would go on with what is left of the batch."""

    async def broken(*_):
        raise ConnectionError("the engine has gone")

    def says(word, rollout, turn):
        return broken() if (word, rollout, turn) == ("seal", 1, 2) else finds(word, rollout, turn)

    with pytest.raises(
        RuntimeError, match=r"^1 rollout group\(s\) failed: ConnectionError: the engine has gone"
    ):
        Trainer(tiny, data, says, PAIRS).step(1)


def test_a_guard_warns_and_another_one_stops(queue, tiny, data, capsys):  # noqa: ARG001
    warns = ["drag.guards.from_step=2", "drag.guards.warn.searches=50"]
    Trainer(tiny, data, finds, *warns).step(1)
    assert "[guard]" not in capsys.readouterr().out
    Trainer(tiny, data, finds, *warns).step(2)
    assert "[guard] step 2: searches is 2" in capsys.readouterr().out
    with pytest.raises(
        RuntimeError, match=r"^stopped by a guard: step 3: searches is 2, .*\(drag\.guards\.stop\)"
    ):
        Trainer(tiny, data, finds, *warns, "drag.guards.stop.searches=50").step(3)


STALL = "trainer.v1.sampler.sampler_kwargs.stall_timeout_s=5"


def test_an_engine_that_never_answers_is_a_stall(queue, tiny, data):  # noqa: ARG001
    """All but one rollout end; the last one is never heard of again."""

    def says(word, rollout, turn):
        return None if (word, rollout) == ("seal", 1) else finds(word, rollout, turn)

    with pytest.raises(RuntimeError, match=r"^no rollout moved for 5 s: .*'running_keys': \{'train': 1\}"):
        Trainer(tiny, data, says, STALL, PAIRS).step(1)


def test_rollouts_that_end_one_after_another_are_no_stall(queue, tiny, data):  # noqa: ARG001
    """Together they take longer than the limit, each of them does not."""

    async def says(word, rollout, turn):
        if turn == 3:
            await asyncio.sleep(3.0 * (rollout + 1))
        return finds(word, rollout, turn)

    started = time.monotonic()
    batch, _ = Trainer(tiny, data, says, STALL, PAIRS).step(1)
    assert len(batch.keys) == 4
    assert time.monotonic() - started > 6.0
