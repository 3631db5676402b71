"""Real training that has to stop: it ends soon, and its cause is among the last lines."""

from __future__ import annotations

import pytest
from training_lab import PAIRS, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_retrieval_error_ends_the_run_with_its_cause(model, data, tmp_path):
    """The index is damaged after the questions were made: the first rollout finds out."""
    damaged = tmp_path / "data"
    damaged.mkdir()
    for path in data.iterdir():
        if path.name != "index":
            (damaged / path.name).symlink_to(path)
    (damaged / "index").mkdir()
    for path in (data / "index").rglob("*"):
        target = damaged / "index" / path.relative_to(data / "index")
        if path.is_dir():
            target.mkdir()
        else:
            content = path.read_bytes()
            target.write_bytes(content[:-1] if path.suffix == ".npy" else content)
    run = train("grpo", model=model, data=damaged, folder=tmp_path / "run", options=PAIRS)
    assert run.returncode != 0
    assert "rollout group(s) failed: InputError" in run.log[-3000:], run.log[-3000:]


def test_a_failed_weight_sync_ends_the_run_with_its_cause(model, data, tmp_path):
    """The vLLM worker fails while it takes the weights; stock verl would wait for ever."""
    (tmp_path / "sync_fault.py").write_text(
        "import wrapt\n"
        "def fail(wrapped, instance, args, kwargs):\n"
        "    raise RuntimeError('the disk of the worker is full')\n"
        "def patch(module):\n"
        "    wrapt.wrap_function_wrapper(module, 'vLLMColocateWorkerExtension._update_weights', fail)\n"
        "wrapt.register_post_import_hook(patch, 'verl.workers.rollout.vllm_rollout.utils')\n"
    )
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=PAIRS,
        VERL_USE_EXTERNAL_MODULES="sync_fault",
        PYTHONPATH=str(tmp_path),
        DRAG_WEIGHT_SYNC_TIMEOUT_S="15",
    )
    assert run.returncode != 0
    assert "weight sync: the vLLM worker did not take the new weights" in run.log[-6000:], run.log[-6000:]
    assert "the disk of the worker is full" in run.log


def test_a_guard_stops_the_run(model, data, tmp_path):
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            *PAIRS,
            "trainer.val_before_train=false",
            "drag.guards.from_step=1",
            "drag.guards.stop.searches=50",
        ],
    )
    assert run.returncode != 0
    assert "stopped by a guard: step 1: searches is" in run.log[-4000:], run.log[-4000:]
