"""Diversity of a group of rollouts, by what they found, what they asked, and what models make of it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from reward_outcomes import groups, malformed, outcome_of, search, searched

from drag_rl.errors import InputError
from reward.group import (
    GROUP_SCORES,
    GroupConfig,
    distances_of,
    distinctness,
    diversity,
    group_rewards,
    page_distances,
)


def finding(*pages, query="q"):
    return outcome_of([searched(query, pages, [None, None])])


A, A_AGAIN, HALF, B = finding("a", "b"), finding("b", "a"), finding("b", "c"), finding("d", "e")
IDLE = outcome_of([malformed()])


@settings(max_examples=35)
@given(groups)
def test_group_scores_are_aligned_bounded_and_blind_to_order(group):
    for name, score in GROUP_SCORES.items():
        values = score(group)
        assert len(values) == len(group), name
        assert all(0.0 <= value <= 1.0 for value in values), name
        assert score(group[::-1]) == pytest.approx(values[::-1]), name


def test_the_mean_distance_to_those_who_found_something():
    assert page_distances([A, A_AGAIN, HALF, B])[0] == pytest.approx([0, 0, 2 / 3, 1])
    assert diversity([A, A_AGAIN, B]) == (0.5, 0.5, 1.0)
    assert diversity([A, A_AGAIN, B, IDLE]) == (0.5, 0.5, 1.0, 0.0), "idling is no diversity"
    assert diversity([A]) == diversity([A, IDLE])[:1] == (1.0,), "alone"
    assert diversity([A, A_AGAIN]) == (0.0, 0.0)


def test_kinds_as_darling_counts_them():
    assert distinctness([A, A_AGAIN, B, IDLE]) == (0.5, 0.5, 1.0, 0.0)
    assert distinctness([A, HALF, B], threshold=0.7) == (0.5, 0.5, 1.0)
    chain = [finding("a", "b"), finding("b", "c"), finding("c", "d")]
    assert distinctness(chain, threshold=0.7) == (0.0, 0.0, 0.0), "one kind, by the one in the middle"


def test_quality_times_diversity_pays_neither_copies_nor_idle_variety():
    hit, copy, other = (outcome_of([search(rank, query="q")]) for rank in (1, 1, 2))
    scores = GROUP_SCORES["quality_x_diversity"]([hit, copy, B, IDLE])
    assert scores[0] == scores[1] > 0
    assert scores[2] == scores[3] == 0.0
    assert GROUP_SCORES["quality_x_diversity"]([hit, B])[0] > scores[0]
    assert diversity([hit, other]) == (0.0, 0.0), "the same pages in another order"


def test_group_rewards():
    group, rewards = [A, A_AGAIN, B, IDLE], [1.0, 0.5, 0.0, -4.0]
    assert group_rewards(group, rewards, GroupConfig()) == tuple(rewards)
    assert group_rewards(group, rewards, GroupConfig(combine="multiply")) == (0.5, 0.25, 0.0, -4.0)
    assert group_rewards(group, rewards, GroupConfig(combine="add")) == pytest.approx((1.05, 0.55, 0.1, -4.0))
    copies = group_rewards([A, A_AGAIN], [1.0, 0.0], GroupConfig(combine="multiply", measure="kinds"))
    assert copies == (0.1, 0.0), "a find keeps the floor"
    assert group_rewards([A], [0.7], GroupConfig(combine="multiply")) == (0.7,)
    one_word = [finding("a", query="merge tables"), finding("a", query="join tables")]
    by_query = GroupConfig(combine="multiply", distance="queries")
    assert group_rewards(one_word, [1.0, 1.0], by_query) == pytest.approx((2 / 3, 2 / 3))


def test_a_model_has_to_be_given():
    with pytest.raises(InputError, match="distance 'local' needs one"):
        group_rewards([A, B], [1.0, 1.0], GroupConfig(combine="add", distance="local"))
    with pytest.raises(
        ValueError, match="unknown distance 'pixels'; known distances: pages, queries, local, vllm"
    ):
        GroupConfig(distance="pixels")


class Served(BaseHTTPRequestHandler):
    """Two endpoints of a vLLM server: vectors by first letter, and pairs alike by first letter; rows out of order."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["model"] == "judge"
        if self.path == "/v1/embeddings":
            rows = [{"embedding": [2.0, 0.0] if text[0] == "m" else [0.0, 3.0]} for text in body["input"]]
        else:
            pairs = zip(body["text_1"], body["text_2"], strict=True)
            rows = [{"score": 0.9 if one[0] == other[0] else 0.2} for one, other in pairs]
        rows = [{"index": index, **row} for index, row in enumerate(rows)]
        data = json.dumps({"data": rows[::-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


ASKED = [finding("a", query=query) for query in ("merge tables", "merging", "join")]


@pytest.mark.parametrize(("classifier", "near", "far"), [(False, 0.0, 1.0), (True, 0.1, 0.8)])
def test_a_served_model_measures_distance(server, classifier, near, far):
    config = GroupConfig(distance="vllm", model="judge", server=server, classifier=classifier)
    matrix = distances_of(config)(ASKED)
    assert matrix[0] == pytest.approx([0.0, near, far])
    assert [list(column) for column in zip(*matrix, strict=True)] == [list(row) for row in matrix]


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(InputError, match="distance 'local' needs one"):
        distances_of(GroupConfig(distance="local"))
    with pytest.raises(InputError, match="no-such-folder: cannot be loaded as a text model"):
        distances_of(GroupConfig(distance="local", model="./no-such-folder"))
    silent = distances_of(GroupConfig(distance="vllm", model="judge", server="http://127.0.0.1:9"))
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/v1/embeddings: the diversity model's server"):
        silent(ASKED)
    with pytest.raises(InputError, match="no http:// or https:// address"):
        distances_of(GroupConfig(distance="vllm", model="judge", server="file:///etc"))(ASKED)


@pytest.fixture(scope="module")
def bert_dir(tmp_path_factory):
    """A tiny random BERT with its tokenizer: an embedding model and a pair classifier in one."""
    import transformers

    folder = tmp_path_factory.mktemp("bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "merge", "tables", "join", "merging"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("classifier", [False, True])
def test_a_local_model_measures_distance(bert_dir, classifier):
    config = GroupConfig(distance="local", model=str(bert_dir), classifier=classifier)
    matrix = distances_of(config)([*ASKED, ASKED[0]])
    assert all(0.0 <= value <= 1.0 for row in matrix for value in row)
    assert [matrix[g][g] for g in range(4)] == pytest.approx([0.0] * 4, abs=1e-5)
    assert matrix[0][3] == pytest.approx(0.0, abs=1e-5), "the same text"
    assert matrix[0][2] == pytest.approx(matrix[2][0])
    assert matrix[0][2] > 1e-4
