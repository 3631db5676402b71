"""The tokens, images and budgets of episodes in the agent loop; only the model's words are scripted."""

from __future__ import annotations

import pytest
from driven import Driven
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollout_lab import CALLS, ROOMY, SEARCHES, policy_texts, question, rollout, server_index

from drag_rl.episode import EpisodeConfig, Observation
from drag_rl.types import StopReason


@pytest.mark.parametrize("observation", ["text", "image", "both"])
@pytest.mark.parametrize(("action_format", "texts"), [("xml", SEARCHES), ("tools", CALLS)])
def test_an_episode_of_two_searches(data, processor, action_format, texts, observation):
    output, outcome, server = rollout(
        data,
        processor,
        texts,
        f"drag.episode.action_format={action_format}",
        f"drag.episode.observation={observation}",
        *ROOMY,
    )
    # Only the policy's own tokens carry loss, each of its messages whole, with its end.
    assert policy_texts(output, processor.tokenizer) == [text + "<|im_end|>" for text in texts]
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    assert [p != 0 for p in output.response_logprobs] == [bool(m) for m in output.response_mask]
    # The trace is the episode's own record.
    assert outcome.stop_reason == StopReason.ANSWERED
    assert [turn.text for turn in outcome.turns] == texts
    found = server_index(data).search("impeller care", 3, gold_page_ids=("pumps#1",))
    assert outcome.searches[0].gold_ranks == found.gold_ranks
    assert [hit.page_id for hit in outcome.searches[0].hits] == [hit.page_id for hit in found.hits]
    assert outcome.answer.citations == ("pumps#1",)
    # Page images reach the model in later turns, and only there; the tokens stand for exactly those images.
    images = output.multi_modal_data.get("images", [])
    assert not server.asked[0][1]
    if observation == "text":
        assert not images
    else:
        assert len(server.asked[1][1]) == len(outcome.turns[0].image_page_ids) > 0
        assert len(images) == sum(len(turn.image_page_ids) for turn in outcome.turns)
    grids = processor.image_processor(images=images, return_tensors="pt")["image_grid_thw"] if images else []
    expected = sum(int(grid.prod()) // 4 for grid in grids)
    assert (output.prompt_ids + output.response_ids).count(processor.image_token_id) == expected


@pytest.mark.parametrize(("action_format", "texts"), [("xml", SEARCHES), ("tools", CALLS)])
@pytest.mark.parametrize("closes", [True, False])
def test_tokens_are_the_chat_templates(data, processor, action_format, texts, closes):
    """The token sequence is what the template renders of the episode's messages (a stop string may leave out ends)."""
    output, *_ = rollout(
        data, processor, texts, *ROOMY, f"drag.episode.action_format={action_format}", closes=closes
    )
    episode = Driven(question(data), server_index(data), config_of(action_format))
    for text in texts:
        reply = episode.step(text, "stop")
        if isinstance(reply, Observation):
            episode.commit(reply)
    rendered = processor.apply_chat_template(episode.messages, tools=episode.tools, tokenize=False)
    decoded = processor.tokenizer.decode(output.prompt_ids + output.response_ids)
    assert rendered.removesuffix("\n").removesuffix("<|im_end|>") == decoded.removesuffix("<|im_end|>")


def config_of(action_format):
    return EpisodeConfig(action_format=action_format, think=False)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    response=st.integers(20, 700),
    observation_tokens=st.integers(10, 600),
    observation=st.sampled_from(["text", "image", "both"]),
)
def test_budgets_hold_and_no_image_is_cut(data, processor, response, observation_tokens, observation):
    texts = [
        "<search>impeller</search>",
        "<search>seal packing</search>",
        "<search>cavitation</search>",
        "<search>x</search>",
    ]
    output, outcome, server = rollout(
        data,
        processor,
        texts,
        f"data.max_response_length={response}",
        f"drag.observation_tokens={observation_tokens}",
        f"drag.episode.observation={observation}",
        "drag.turn_tokens=40",
    )
    assert len(output.response_ids) <= response
    runs = "".join(map(str, output.response_mask)).strip("1").split("1")
    assert max(map(len, runs)) <= observation_tokens
    images = output.multi_modal_data.get("images", [])
    shown = sum(len(turn.image_page_ids) for turn in outcome.turns)
    assert (
        len(images)
        == shown
        == output.response_ids.count(processor.tokenizer.convert_tokens_to_ids("<|vision_start|>"))
    )
    assert output.response_ids.count(processor.tokenizer.convert_tokens_to_ids("<|vision_end|>")) == shown
    for asked, _, params in server.asked:
        assert 1 <= params["max_tokens"] <= 40
        assert len(asked) - len(output.prompt_ids) + params["max_tokens"] <= response
    assert outcome.stop_reason in {StopReason.MAX_TURNS, StopReason.LENGTH}


def test_the_policy_is_never_given_an_image_token_to_sample(processor):
    """verl bans these in vLLM's logits; a model of ours must have them where verl looks."""
    from verl.workers.rollout.utils import get_vision_placeholder_token_ids

    tokens = processor.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"])
    assert get_vision_placeholder_token_ids(processor) == tokens
