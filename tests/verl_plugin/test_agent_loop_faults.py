"""What goes wrong in a rollout is named, or made good, and never cut or waited for."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest
from rollout_lab import ROOMY, SEARCHES, ScriptedServer, rollout

from drag_rl.verl_plugin.shaping import ShapingConfig, token_rewards
from reward.turn_credit import TurnCreditConfig


class Waits(ScriptedServer):
    """An engine that hangs."""

    async def generate(self, **_):
        await asyncio.sleep(60)


class Empty(ScriptedServer):
    """An engine that gives no token at some of its calls, as vLLM does for an aborted request."""

    calls, empty = 0, range(0)

    async def generate(self, **asked):
        from verl.workers.rollout.replica import TokenOutput

        self.calls += 1
        if self.calls - 1 in self.empty:
            return TokenOutput(token_ids=[], log_probs=[], stop_reason="aborted")
        return await super().generate(**asked)


def rollout_without_queue(*arguments, **keywords):
    """A failing rollout reports to TransferQueue, which does not run here: what it reports becomes a note."""
    import drag_rl.verl_plugin.rollout_errors as module

    told = []

    class NoQueue:
        @staticmethod
        async def async_kv_put(*, tag, **_):
            told.append(tag["error"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "tq", NoQueue)
        try:
            return rollout(*arguments, **keywords)
        except Exception as error:
            for cause in told:
                error.add_note(cause)
            raise


def test_a_long_prompt_is_an_error_not_a_cut(data, processor):
    with pytest.raises(ValueError, match="max_prompt_length allows 50"):
        rollout_without_queue(data, processor, SEARCHES, "data.max_prompt_length=50")


def test_images_without_pages_name_the_option(data, processor):
    with pytest.raises(ValueError, match=r"drag\.pages must name"):
        rollout_without_queue(data, processor, SEARCHES, "drag.episode.observation=image", "drag.pages=null")


def test_an_engine_that_hangs_is_named_as_the_cause(data, processor):
    with pytest.raises(TimeoutError, match=r"no message within 0\.01 s \(drag\.turn_timeout_s\)") as failed:
        rollout_without_queue(
            data, processor, SEARCHES, *ROOMY, "drag.turn_timeout_s=0.01", server_class=Waits
        )
    assert failed.value.__notes__ == [f"TimeoutError: {failed.value}"], "what the trainer is told"


def test_an_exception_without_a_message_is_told_with_its_place(data, processor):
    class Broken(ScriptedServer):
        async def generate(self, **_):
            raise AssertionError

    with pytest.raises(AssertionError) as failed:
        rollout_without_queue(data, processor, SEARCHES, *ROOMY, server_class=Broken)
    (told,) = failed.value.__notes__
    assert re.fullmatch(
        r"AssertionError: raised by generate \(.*test_agent_loop_faults.py:\d+\), without a message", told
    )


@pytest.mark.parametrize("empty", [range(1), range(1, 3), range(2, 4)])
def test_a_reply_without_a_token_is_asked_for_again(data, processor, empty, monkeypatch):
    """Else a turn would have no token to carry its credit."""
    import drag_rl.verl_plugin.agent_loop as module

    monkeypatch.setattr(module, "EMPTY_REPLY_PAUSE_S", 0)
    monkeypatch.setattr(Empty, "empty", empty)
    usual, outcome, _ = rollout(data, processor, SEARCHES, *ROOMY)
    output, same, _ = rollout(data, processor, SEARCHES, *ROOMY, server_class=Empty)
    assert same == outcome
    assert (output.response_ids, output.response_mask) == (usual.response_ids, usual.response_mask)
    credit = ShapingConfig(turn_credit=TurnCreditConfig())
    (row,) = token_rewards(["a"], [same], [0.0], [output.response_mask], credit)
    assert sum(map(bool, row)) <= len(same.turns)


def test_an_engine_that_never_gives_a_token_is_named_as_the_cause(data, processor, monkeypatch):
    import drag_rl.verl_plugin.agent_loop as module

    monkeypatch.setattr(module, "EMPTY_REPLY_PAUSE_S", 0)
    monkeypatch.setattr(Empty, "empty", range(1, 99))
    with pytest.raises(RuntimeError, match=r"3 times in a row without a token \(stop reason: aborted\)"):
        rollout_without_queue(data, processor, SEARCHES, *ROOMY, server_class=Empty)


def test_a_page_that_cannot_be_rendered_is_blank_and_counted_and_the_loop_is_not_held_up(
    data, processor, tmp_path, monkeypatch
):
    import drag_rl.verl_plugin.agent_loop as module
    from drag_rl.corpus.images import PageImages
    from drag_rl.corpus.renderer import PageRenderError, Renderer

    class Stalls(Renderer):
        def render(self, request):  # noqa: ARG002
            assert threading.current_thread() is not threading.main_thread(), "the event loop stands still"
            raise PageRenderError("needs more than 20 s of processor time", stalled=True, lasting=True)

    pages = PageImages(data / "pages", tmp_path, max_pixels=50_176, renderer=Stalls())
    monkeypatch.setattr(module, "_page_images", lambda *_: pages)
    output, outcome, server = rollout(data, processor, SEARCHES, "drag.episode.observation=image", *ROOMY)
    shown = [page_id for turn in outcome.turns for page_id in turn.image_page_ids]
    assert shown, "the episode goes on as ever"
    assert [image.size for image in server.asked[-1][1]] == [pages.size(page_id) for page_id in shown]
    assert output.extra_fields["blank_pages"] == len(shown)
    assert rollout(data, processor, SEARCHES, *ROOMY)[0].extra_fields["blank_pages"] == 0
