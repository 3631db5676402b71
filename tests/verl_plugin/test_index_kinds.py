"""Every kind of index in a rollout: by ``drag.index`` alone, and the gold page's rank is that of the kind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dense_lab import small_model
from learning import check_learning, outcome_of
from rollout_lab import ROOMY, SEARCHES, rollout
from service_lab import running
from training_lab import TWO_STEPS, train

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.late.new_model import create_retriever_model
from drag_rl.retrieval.open import holds_model
from drag_rl.service.app import service_app
from drag_rl.service.live_index import LiveIndex
from drag_rl.types import Outcome
from drag_rl.verl_plugin.node_retriever import NodeRetriever, retriever_of_node
from reward.table import RewardConfig, compute_reward

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SEEING = ("late", "late-scan", "two-stage", "fused-then-late", "fused-with-late")
KINDS = ("dense", "ivf", "ivfpq", "hnsw", "fuse", "rerank", "http", *SEEING)
WITH_MODEL = {*KINDS} - {"http"}


@pytest.fixture(scope="module")
def indexes(data: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an index of each kind, of the same 25 pages; its server runs as long as the tests."""
    folder, pages = tmp_path_factory.mktemp("indexes"), data / "pages"
    dense = {"kind": "dense", "model": small_model()}
    build_index(pages, folder / "dense", **dense)
    build_index(pages, folder / "ivf", **dense, faiss="ivf", nlist=2, nprobe=1)
    build_index(pages, folder / "ivfpq", **dense, faiss="ivfpq", nlist=1, m=8, nbits=4)
    build_index(pages, folder / "hnsw", **dense, faiss="hnsw")
    both = (str(data / "index"), str(folder / "dense"))
    build_index(None, folder / "fuse", "fuse", part=both)
    build_index(None, folder / "rerank", "rerank", part=both[:1], model=small_model(), candidates=5)
    create_retriever_model(str(tiny), folder / "retriever")
    seeing = {"kind": "late", "model": str(folder / "retriever")}
    build_index(pages, folder / "late", **seeing, binary=False, pool=1)
    build_index(pages, folder / "late-scan", **seeing, rescore_ratio=2)
    words, fused, late = str(data / "index"), str(folder / "fuse"), str(folder / "late")
    build_index(None, folder / "two-stage", "rerank", part=(words, late), candidates=5)
    build_index(None, folder / "fused-then-late", "rerank", part=(fused, late), candidates=5)
    build_index(None, folder / "fused-with-late", "fuse", part=(words, late))
    with running(service_app(LiveIndex(data / "index"))) as url:
        build_index(None, folder / "http", "http", url=url)
        yield folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_searches_an_index_of_any_kind(data, indexes, processor, kind):
    shows = "image" if kind in SEEING else "text"
    options = [f"drag.index={indexes / kind}", f"drag.episode.observation={shows}"]
    _, outcome, _ = rollout(data, processor, SEARCHES, *options, *ROOMY)
    check_ranks([outcome], indexes / kind)
    assert holds_model(indexes / kind) == (kind in WITH_MODEL)
    assert any(turn.image_page_ids for turn in outcome.turns) == (shows == "image")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of its own, whatever else runs on this machine."""
    import ray

    ray.init("local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_on_a_cluster_shards_are_searched_and_a_model_is_loaded_once_a_node(
    data, indexes, processor, tmp_path
):
    build_index(data / "pages", tmp_path / "sharded", "sharded", shards=2)
    for index in (tmp_path / "sharded", indexes / "fuse", indexes / "two-stage"):
        _, outcome, _ = rollout(data, processor, SEARCHES, f"drag.index={index}", *ROOMY)
        check_ranks([outcome], index)
    node, alone = retriever_of_node(indexes / "fuse"), open_retriever(indexes / "fuse")
    assert isinstance(node, NodeRetriever) and not isinstance(
        retriever_of_node(data / "index"), NodeRetriever
    )
    assert node.fingerprint == alone.fingerprint and node.pages.page_ids == alone.pages.page_ids
    with pytest.raises(InputError, match="'nowhere#9' is not in the index"):
        asyncio.run(node.search([Query(text="seal", without=frozenset({"nowhere#9"}))], 3))


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["fuse", "http", "two-stage"])
def test_grpo_over_an_index_that_holds_a_model_or_is_elsewhere(model, data, indexes, tmp_path, kind):
    """Of the one that sees pages, images are shown, and the reward is the rank after its second stage."""
    shows = "image" if kind in SEEING else "text"
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            *TWO_STEPS,
            f"drag.episode.observation={shows}",
            f"drag.index={indexes / kind}",
        ],
    )
    assert run.returncode == 0, run.log[-3000:]
    check_learning(run, model, steps=2)
    rows = run.trajectories()
    given = [turn["image_page_ids"] for row in rows for turn in row["outcome"]["turns"]]
    assert any(given) == (shows == "image")
    outcomes = [outcome_of(row) for row in rows]
    check_ranks(outcomes, indexes / kind)
    rewards = [compute_reward(outcome, RewardConfig())[0] for outcome in outcomes]
    assert [row["reward"] for row in rows] == pytest.approx(rewards)
    # All rollout workers of the node have searched through one host, and none of them without one.
    hosts = {line.split("pid=")[1].split(")")[0] for line in run.log.splitlines() if "(_Host pid=" in line}
    assert len(hosts) == (kind in WITH_MODEL), run.log[-3000:]


def check_ranks(outcomes: Sequence[Outcome], index: Path) -> None:
    """What episodes record of their searches is what the index says, asked once more."""
    asked = [(outcome, turn) for outcome in outcomes for turn in outcome.searches]
    queries = [Query(text=turn.action.query, track=outcome.question.gold_page_ids) for outcome, turn in asked]
    top_k = outcomes[0].config.top_k
    rankings = asyncio.run(open_retriever(index).search(queries, top_k))
    assert asked and any(rank for ranking in rankings for rank in ranking.tracked)
    for (_, turn), ranking in zip(asked, rankings, strict=True):
        assert turn.gold_ranks == ranking.tracked
        assert [hit.page_id for hit in turn.hits] == [hit.page_id for hit in ranking.hits]
