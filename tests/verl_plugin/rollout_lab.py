"""Episodes of the agent loop with the real tokenizer, processor, token builder and index; only words are scripted."""

from __future__ import annotations

import asyncio
from functools import cache

from compose_lab import composed
from omegaconf import OmegaConf
from tiny_corpus import Searching

from drag_rl.files.codec import from_json
from drag_rl.questions import question_to_row, read_questions
from drag_rl.types import Outcome

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


def server_index(data):
    return Searching.load(data / "index")


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
