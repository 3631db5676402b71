"""The agent loop with the real tokenizer, processor, token builder and index; only the model's words are scripted."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from functools import cache

import pytest
from compose_lab import composed
from driven import Driven
from driver_lab import Script, collected
from fake_openai import FakeServer, Said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from tiny_corpus import Searching

from drag_rl.episode import EpisodeConfig, Observation
from drag_rl.files.codec import from_json
from drag_rl.policies.play import play
from drag_rl.questions import question_to_row, read_questions, write_questions
from drag_rl.types import Outcome, StopReason
from drag_rl.verl_plugin.shaping import ShapingConfig, token_rewards
from reward.turn_credit import TurnCreditConfig


@cache
def defaults():
    """What every rollout here starts from; made once, as Hydra reads all of verl's files each time."""
    given = ["data.train_files=t", "data.val_files=v", "hardware=cpu", "trainer.default_local_dir=c"]
    return composed("grpo", [*given, "drag.index=i", "drag.episode.think=false"])


def configured(*overrides):
    """The defaults with overrides; only what a rollout reads is copied, as the whole costs more than an episode."""
    parts = ("actor_rollout_ref", "data", "drag", "trainer")
    config = OmegaConf.create({name: defaults()[name] for name in parts})
    return OmegaConf.merge(config, OmegaConf.from_dotlist(list(overrides)))


class ScriptedServer:
    """An inference server that says the given texts; it keeps what it was asked, and respects ``max_tokens``."""

    def __init__(self, tokenizer, texts, closes=True):
        self.tokenizer, self.texts, self.closes = tokenizer, list(texts), closes
        self.asked = []

    async def generate(self, *, request_id, prompt_ids, sampling_params, image_data=None):  # noqa: ARG002
        from verl.workers.rollout.replica import TokenOutput

        self.asked.append((list(prompt_ids), list(image_data or []), sampling_params))
        text = self.texts.pop(0) + ("<|im_end|>" if self.closes else "")
        ids = self.tokenizer.encode(text, add_special_tokens=False)[: sampling_params["max_tokens"]]
        steps = {"global_steps": 1, "min_global_steps": 1, "max_global_steps": 1}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), num_preempted=0, extra_fields=steps)


def rollout(data, processor, texts, *overrides, closes=True, server_class=ScriptedServer, row=None):
    """Run one episode, of ``row`` or of the first question; returns verl's output, the outcome, and the server."""
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from drag_rl.verl_plugin.agent_loop import DragSearchLoop

    paths = [f"drag.index={data}/index", f"drag.pages={data}/pages"]
    config = configured(*paths, *overrides)
    server = server_class(processor.tokenizer, texts, closes)

    async def run():
        loop = DragSearchLoop(
            trainer_config=DictConfigWrap(config),
            server_manager=server,
            tokenizer=processor.tokenizer,
            processor=processor,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            hf_model_type="qwen3_vl",
        )
        asked = row or question_to_row(question(data), 0, "train")
        return await loop.run({"temperature": 1.0}, **asked)

    output = asyncio.run(run())
    return output, from_json(Outcome, output.extra_fields["outcome"]), server


def question(data):
    return read_questions(data / "questions.train.parquet")[0]


def policy_texts(output, tokenizer):
    """The texts of the runs of tokens that carry loss."""
    texts, run = [], []
    for token, loss in zip([*output.response_ids, 0], [*output.response_mask, 0], strict=True):
        if loss:
            run.append(token)
        elif run:
            texts.append(tokenizer.decode(run))
            run = []
    return texts


ROOMY = ("data.max_response_length=4000", "drag.observation_tokens=2000", "drag.turn_tokens=200")
"""Budgets that nothing here reaches."""
SEARCHES = [
    "<search>impeller care</search>",
    "<search>seal</search>",
    "<answer>It needs care [pumps#1].</answer>",
]
CALLS = [
    '<tool_call>\n{"name": "search", "arguments": {"query": "impeller care"}}\n</tool_call>',
    '<tool_call>\n{"name": "search", "arguments": {"query": "seal"}}\n</tool_call>',
    "It needs care [pumps#1].",
]


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


def server_index(data):
    return Searching.load(data / "index")


def config_of(action_format):
    return EpisodeConfig(action_format=action_format, think=False)


@pytest.mark.parametrize("on_malformed", ["end", "correct"])
@pytest.mark.parametrize(
    ("action_format", "texts"),
    [
        ("xml", SEARCHES),
        (
            "xml",
            ["<think>Words?</think>\n<search>zebra</search>", "no tag", "<answer>It [pumps#1].</answer>"],
        ),
        ("xml", [SEARCHES[0], "<search>a<|image_pad|></search>", SEARCHES[2]]),
        ("tools", CALLS),
        ("tools", [CALLS[0], "<tool_call>\n{no json}\n</tool_call>", CALLS[2]]),
        ("tools", ["Let me look.\n" + CALLS[1], "<think>never closed", "<think>Hm.</think>" + CALLS[2]]),
    ],
)
def test_the_three_drivers_agree(data, processor, action_format, texts, on_malformed):
    config = EpisodeConfig(action_format=action_format, on_malformed=on_malformed, think=False)
    drivers_agree(data, processor, texts, config)


def drivers_agree(data, processor, texts, config, asked=None, row=None):
    """The drivers law: verl's loop (tokens), ``play`` (messages) and the collector (HTTP) lead to the same trace."""
    named = ("action_format", "on_malformed", "queries_per_turn", "combine", "scope")
    overrides = [f"drag.episode.{name}={getattr(config, name)}" for name in named]
    _, by_tokens, _ = rollout(data, processor, texts, *ROOMY, *overrides, row=row)
    asked, script = asked or question(data), Script([Said(text=text) for text in texts])
    by_messages, _ = asyncio.run(play(asked, script, server_index(data).retriever, config))
    said = iter(texts)
    with FakeServer(lambda _: next(said), parses=True) as server:
        by_http = collected(server, server_index(data), config, question=asked)
    assert by_tokens == by_messages == by_http.outcome
    return by_tokens


@pytest.mark.parametrize(
    ("action_format", "search"),
    [
        ("xml", "<search>impeller care\nseal</search>"),
        (
            "tools",
            '<tool_call>\n{"name": "search", "arguments": {"queries": ["impeller care", "seal"]}}\n</tool_call>',
        ),
    ],
)
def test_the_three_drivers_agree_on_several_queries_in_one_search(data, processor, action_format, search):
    config = EpisodeConfig(action_format=action_format, think=False, queries_per_turn=2, combine="union")
    outcome = drivers_agree(
        data, processor, [search, SEARCHES[2] if action_format == "xml" else CALLS[2]], config
    )
    (turn,) = outcome.searches
    assert turn.action.queries == ("impeller care", "seal")
    alone = [server_index(data).search(query, 99) for query in turn.action.queries]
    best = {}
    for hit in (hit for found in alone for hit in found.hits):
        best[hit.page_id] = max(hit.score, best.get(hit.page_id, 0.0))
    assert [hit.page_id for hit in turn.hits] == sorted(best, key=best.get, reverse=True)[:3]
    assert [hit.score for hit in turn.hits] == sorted(best.values(), reverse=True)[:3]


def through_verl(question, folder):
    """The row of a question as verl's data set and its batches hand it to the agent loop."""
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    write_questions(folder / "questions.train.parquet", [question], "train")
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(folder / "cache")})
    dataset = RLHFDataset(str(folder / "questions.train.parquet"), tokenizer=None, config=config)
    return {name: values[0] for name, values in collate_fn([dataset[0]]).items()}


@pytest.mark.parametrize(("action_format", "texts"), [("xml", SEARCHES), ("tools", CALLS)])
def test_the_three_drivers_agree_on_searches_that_stay_in_a_document(
    data, processor, tmp_path, action_format, texts
):
    asked = replace(question(data), document="pumps")
    row, texts = through_verl(asked, tmp_path), [text.replace("seal", "nozzle care") for text in texts]
    config = EpisodeConfig(action_format=action_format, think=False, scope="document")
    outcome = drivers_agree(data, processor, texts, config, asked, row)
    assert outcome.question == asked and (outcome.scope, outcome.corpus_pages) == ("pumps", 5)
    hits = [hit.page_id for turn in outcome.searches for hit in turn.hits]
    assert len(hits) > 2 and all(page_id.startswith("pumps#") for page_id in hits)
    everywhere = drivers_agree(
        data, processor, texts, config.model_copy(update={"scope": "corpus"}), asked, row
    )
    assert (everywhere.scope, everywhere.corpus_pages) == (None, len(server_index(data)))
    assert any(not hit.page_id.startswith("pumps#") for turn in everywhere.searches for hit in turn.hits)


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


def test_a_long_prompt_is_an_error_not_a_cut(data, processor):
    with pytest.raises(ValueError, match="max_prompt_length allows 50"):
        rollout_without_queue(data, processor, SEARCHES, "data.max_prompt_length=50")


def test_images_without_pages_name_the_option(data, processor):
    with pytest.raises(ValueError, match=r"drag\.pages must name"):
        rollout_without_queue(data, processor, SEARCHES, "drag.episode.observation=image", "drag.pages=null")


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
        r"AssertionError: raised by generate \(.*test_agent_loop.py:\d+\), without a message", told
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


def test_the_policy_is_never_given_an_image_token_to_sample(processor):
    """verl bans these in vLLM's logits; a model of ours must have them where verl looks."""
    from verl.workers.rollout.utils import get_vision_placeholder_token_ids

    tokens = processor.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"])
    assert get_vision_placeholder_token_ids(processor) == tokens
