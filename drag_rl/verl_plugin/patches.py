"""Runtime patches for faults of verl 0.9.1 that stop us. Nothing else of verl is ever changed, and only in our runs.

Each patch names the upstream file and line and what goes wrong without it. They apply to the one version that they
were written for; ``tests/verl_plugin/test_verl_patches.py`` shows each fault in the unpatched code, so that the test
fails, and the patch can go, as soon as upstream has mended it.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

from drag_rl.errors import InputError
from drag_rl.versions import VERL_VERSION

SYNC_TIMEOUT_ENV = "DRAG_WEIGHT_SYNC_TIMEOUT_S"
SYNC_TIMEOUT_DEFAULT_S = 600.0
LONGEST_SYNC_TIMEOUT_S = 24 * 60 * 60


def apply() -> None:
    """Install every patch, to be applied when verl imports the module that it mends, or now if it has."""
    for module, patch in PATCHES.items():
        wrapt.register_post_import_hook(guarded(patch), module)


def guarded(patch: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """The patch, which does nothing beside another version of verl than the one that it was written for."""

    def on_import(module: ModuleType) -> None:
        from importlib.metadata import version

        if version("verl") == VERL_VERSION:
            patch(module)

    return on_import


def sync_timeout_s() -> float:
    """Seconds that a weight sync may wait for one answer; InputError where the environment holds no such number."""
    said = os.environ.get(SYNC_TIMEOUT_ENV)
    if not said:
        return SYNC_TIMEOUT_DEFAULT_S
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_SYNC_TIMEOUT_S:
        raise InputError(
            f"{SYNC_TIMEOUT_ENV}={said}: give seconds, more than 0 and at most {LONGEST_SYNC_TIMEOUT_S}"
        )
    return seconds


def bound_weight_sync(module: ModuleType) -> None:
    """``workers/rollout/vllm_rollout/bucketed_weight_transfer.py:160,172,180``: the sender waits without a time-out.

    When the vLLM worker fails during a weight sync, or dies, the trainer hangs for ever. The socket now gives up after
    ``DRAG_WEIGHT_SYNC_TIMEOUT_S`` seconds, and the error says where to look.
    """
    import zmq

    def init_socket(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        timeout_ms = int(1000 * sync_timeout_s())
        instance.socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
        instance.socket.setsockopt(zmq.SNDTIMEO, timeout_ms)
        instance.socket.setsockopt(zmq.LINGER, 0)

    async def send(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        except zmq.Again as error:
            raise TimeoutError(
                "weight sync: the vLLM worker did not take the new weights in "
                f"{sync_timeout_s():g} s; its own error stands above"
            ) from error

    wrapt.wrap_function_wrapper(module, "BucketedWeightSender._init_socket", init_socket)
    wrapt.wrap_function_wrapper(module, "BucketedWeightSender.async_send_weights", send)


class _TextOnly(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A model whose vision tower returns its features, as it did before transformers 5."""

    def visual(self, *args: Any, **kwargs: Any) -> Any:
        """The features of the dummy image, ``[patches, hidden]``."""
        from verl.utils.transformers_compat import unpack_visual_output

        return unpack_visual_output(self.__wrapped__.visual(*args, **kwargs))[0]


def qwen2_vl_text_batch(module: ModuleType) -> None:
    """``models/transformers/qwen2_vl.py:393``: a batch without an image stops a Qwen2-VL or Qwen2.5-VL trainer.

    verl runs a dummy image through the vision tower and takes ``.mean()`` of what comes back; since transformers 5 that
    is an output object. The lines for real images unpack it.
    """

    def get_input_embeds(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        call = inspect.signature(wrapped).bind(*args, **kwargs)
        if call.arguments.get("pixel_values") is None and call.arguments.get("pixel_values_videos") is None:
            call.arguments["model"] = _TextOnly(call.arguments["model"])
        return wrapped(*call.args, **call.kwargs)

    wrapt.wrap_function_wrapper(module, "_get_input_embeds", get_input_embeds)


def equal_length_positions(module: ModuleType) -> None:
    """``utils/tensordict_utils.py:910``: a batch whose rows have one length stops any model with M-RoPE.

    Rows of position ids are ``[4, L]``; where every L is equal, torch takes the 4 for the ragged dimension and stacks
    the rows along it. verl then only relabels the dimension, and the next split fails. The rows are stacked anew.
    """
    import torch

    def fix(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> None:
        call = inspect.signature(wrapped).bind(*args, **kwargs)
        data = call.arguments["data"]
        positions = data["position_ids"] if "position_ids" in data.keys() else None  # noqa: SIM118 (a TensorDict)
        if positions is not None and positions.is_nested and positions.dim() == 3:
            values, offsets = positions.values(), positions.offsets()
            rows = len(offsets) - 1
            if offsets[-1] == values.shape[0] and (rows > 1 or offsets[-1] != values.shape[-1]):
                values = values.unflatten(0, (rows, -1)).transpose(0, 1)  # [4, rows, L]
                offsets = torch.arange(rows + 1, device=values.device) * values.shape[-1]
                data["position_ids"] = torch.nested.nested_tensor_from_jagged(
                    values.flatten(1), offsets, jagged_dim=2
                )
                return
        wrapped(*call.args, **call.kwargs)

    stock = module.maybe_fix_3d_position_ids
    wrapt.wrap_function_wrapper(module, "maybe_fix_3d_position_ids", fix)
    for name, user in list(sys.modules.items()):  # those that have imported it by name before
        if name.startswith("verl.") and vars(user).get("maybe_fix_3d_position_ids") is stock:
            user.maybe_fix_3d_position_ids = module.maybe_fix_3d_position_ids  # type: ignore[attr-defined]


def resume_between_epochs(module: ModuleType) -> None:
    """``utils/checkpoint/checkpoint_handler.py:170``: SFT resumed at the end of an epoch leaves out the next one.

    The data loader goes on where an iterator had nothing left, so the trainer's next epoch has no batch and counts as
    done. At such a step the loader now starts anew.
    """

    def load(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
        path = inspect.signature(wrapped).bind(*args, **kwargs).arguments["checkpoint_path"]
        if module.extract_step(path) % len(instance.train_dataloader):
            wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper(module, "CheckpointHandler._load_dataloader_state", load)


def value_models(module: ModuleType) -> None:
    """``utils/model.py:641``: PPO's critic cannot be built for a Qwen vision-language model.

    ``load_valuehead_model`` asks transformers for a token-classification class that is not there, and for
    flash-attention. The classes of :mod:`drag_rl.verl_plugin.value_model` are made known when a critic is loaded.
    """

    def load(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        from drag_rl.verl_plugin.value_model import register_value_models

        register_value_models()
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper(module, "load_valuehead_model", load)


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "verl.utils.model": value_models,
    "verl.utils.checkpoint.checkpoint_handler": resume_between_epochs,
    "verl.utils.tensordict_utils": equal_length_positions,
    "verl.models.transformers.qwen2_vl": qwen2_vl_text_batch,
    "verl.workers.rollout.vllm_rollout.bucketed_weight_transfer": bound_weight_sync,
}
"""Module of verl -> its patch."""
