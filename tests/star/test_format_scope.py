"""``drag format`` of searches that stayed in a document: what is learnt begins as the policy was asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trajectory_lab as lab
from format_lab import INDEX, PUMPS, all_rows, build

from drag_rl.episode.prompt import opening_messages


@pytest.mark.parametrize("scope", ["corpus", "document"])
def test_the_prompt_that_is_learnt_says_what_was_searched(tmp_path, scope):
    config = lab.PLAIN.model_copy(update={"scope": scope})
    question = replace(PUMPS, document="pumps")
    texts = [lab.search("impeller", config), lab.answer("It needs care [pumps#1].", config)]
    rows, _ = build(tmp_path, [lab.played(INDEX, question, texts, config)], config)
    said = [row["messages"][0]["content"] for row in all_rows(rows, "sft_trajectory")]
    assert said == [opening_messages(question, config)[0]["content"]]
    assert ("one document" in said[0]) == (scope == "document")
