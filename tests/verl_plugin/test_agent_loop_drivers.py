"""The drivers law: verl's agent loop, ``play`` and the collector lead to the same trace of the same words."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from driver_lab import Script, collected
from fake_openai import FakeServer, Said
from omegaconf import OmegaConf
from rollout_lab import CALLS, ROOMY, SEARCHES, question, rollout, server_index

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.play import play
from drag_rl.questions import write_questions


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
