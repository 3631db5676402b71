"""The data inside the page: nothing that a parser of HTML could take for markup, nothing lost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import trajectory_lab as lab
from hostile import write_hostile
from hypothesis import given
from hypothesis import strategies as st
from view_samples import write_run, write_trajectories

from drag_rl.episode import EpisodeConfig
from drag_rl.view.payload import payload, to_script_text
from drag_rl.view.read import read_rollouts
from drag_rl.view.report import render
from drag_rl.view.sources import find_sources
from drag_rl.view.thumbnails import Thumbnail
from reward.table import ANSWER_SCORES, RewardConfig, compute_reward

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner),
    max_leaves=8,
)


@given(JSON)
def test_script_text_reads_back_and_holds_no_markup(value):
    text = to_script_text(value)
    assert json.loads(text) == value
    assert not re.search("[<>&\u2028\u2029]", text)


class _Scripts(HTMLParser):
    """What an HTML parser makes of the page."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.data, self.where, self.policy = [], {}, ("", None), ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.where = (tag, dict(attributes).get("id"))
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attributes)["content"]

    def handle_data(self, data):
        self.data[self.where] = self.data.get(self.where, "") + data


def page_of(path, title="t", pictures=None):
    parser = _Scripts()
    data = payload(read_rollouts(find_sources([path]), 0).rollouts, thumbnails=pictures)
    parser.feed(render(data, pictures or {}, title))
    return parser, data


def test_a_hostile_page_has_the_same_markup_as_a_tame_one(tmp_path):
    tame, _ = page_of(write_trajectories(tmp_path / "tame.jsonl", 1))
    hostile, data = page_of(
        write_hostile(tmp_path / "hostile.jsonl"), title="</title><script>window.__pwned=1</script>"
    )
    assert hostile.tags == tame.tags
    assert json.loads(hostile.data["script", "data"]) == json.loads(json.dumps(data))


def test_the_policy_lets_nothing_in_and_the_page_asks_for_nothing(tmp_path):
    page, _ = page_of(write_trajectories(tmp_path / "t.jsonl", 1))
    assert page.policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in page.policy and "http" not in page.policy
    text = "".join(data for where, data in page.data.items() if where != ("script", "data"))
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text))
    assert addresses <= {"http://www.w3.org"}, "the name of SVG's namespace is the only address"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", text)


def test_a_picture_is_there_once(tmp_path):
    pictures = {"manuals/rotor#1": Thumbnail(url="data:image/jpeg;base64,AAAA", width=3, height=4)}
    page, data = page_of(write_trajectories(tmp_path / "t.jsonl", 6), pictures=pictures)
    number = data["pages"].index("manuals/rotor#1")
    assert data["pictures"] == {number: [3, 4]}
    kept = [text for (tag, name), text in page.data.items() if name == f"picture-{number}"]
    assert len(kept) == 1 and kept[0].strip() == "data:image/jpeg;base64,AAAA"


def test_groups_carry_advantages_of_their_rewards(tmp_path):
    data = payload(read_rollouts(find_sources([write_run(tmp_path / "run")]), 0).rollouts)
    training = [row for row in data["rollouts"] if row["source"] == "training"]
    validation = [row for row in data["rollouts"] if row["source"] == "validation"]
    assert data["groups"] == 3 * 2 + 2 * 2 and len(data["questions"]) == 2
    for group in {row["group"] for row in training}:
        gains = [row["advantage"] for row in training if row["group"] == group]
        assert sum(gains) == pytest.approx(0, abs=1e-4) and max(gains) > 0.5
    assert all(row["advantage"] is None for row in validation), "one rollout is no group"


def test_facts_of_an_episode_are_those_of_rewards_and_metrics(tmp_path):
    """Reading on is no repetition, a page that was never shown is not rightly cited, and no answer was asked for."""
    config = EpisodeConfig(think=False, repeat_pages=False, answer=False, max_turns=4)
    question = lab.QUESTIONS[0]
    says = [
        lab.search("cavitation"),
        lab.search("Cavitation"),
        lab.search("gate"),
        lab.answer("[lamps#1; pumps#2]"),
    ]
    read_on = lab.played(lab.shared_index(), question, says, config)
    path = lab.write(tmp_path / "t.jsonl", [read_on], config)
    _, breakdown = compute_reward(read_on.outcome, RewardConfig())
    rollout = replace(read_rollouts(find_sources([path]), 0).rollouts[0], scores=breakdown)
    data = payload([rollout])
    turns = data["rollouts"][0]["turns"]
    assert [turn["repeat"] for turn in turns] == [False] * 4 and breakdown["duplicate_queries"] == 0.0
    assert [turn["ranked_pages"] for turn in turns] == [20, 17, 14, 11]
    names = {(data["pages"][page], gold, shown) for page, gold, shown in turns[3]["citations"]}
    assert names == {
        ("lamps#1", False, "lamps#1" in read_on.outcome.shown_page_ids),
        ("pumps#2", False, True),
    }
    assert data["rollouts"][0]["answer_asked"] is False
    assert not ANSWER_SCORES & data["rollouts"][0]["scores"].keys()
    assert breakdown.keys() - ANSWER_SCORES == data["rollouts"][0]["scores"].keys()


def test_numbers_that_json_lacks_are_none(tmp_path):
    path = write_trajectories(tmp_path / "t.jsonl", 1)
    path.write_text(
        path.read_text()
        .replace('"score": 8.5', '"score": NaN')
        .replace('"seconds": 0.5', '"seconds": Infinity')
    )
    data = payload(read_rollouts(find_sources([path]), 0).rollouts)
    json.dumps(data, allow_nan=False)
    assert data["rollouts"][0]["turns"][0]["hits"][0][2] is None
