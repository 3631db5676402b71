"""Credit that needs all rollouts of a question: do they try different things?

In the spirit of DARLING (Li et al. 2025, arXiv 2509.02534): a rollout's diversity is the share of its group that
differs from it, and multiplies its quality, so that variety without quality earns nothing. Where DARLING asks a
classifier whether two answers say the same, two searches are compared by the pages they found: free, and what matters.
``reward.diversity_model`` has the classifier, and embeddings, for those who want them.

A rollout that found no page is not diverse but idle: it scores 0 and is nobody's peer. A rollout without a peer scores
1, so that a group of one, as in PPO or validation, keeps its reward.

Shape letter: G rollouts of a question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field, field_validator

from drag_rl.config import Config
from drag_rl.tables import Table
from drag_rl.types import Outcome, query_key
from reward.table import RewardConfig, compute_reward

Distances = Callable[[Sequence[Outcome]], Sequence[Sequence[float]]]
"""Outcomes of a group -> distances_GG, symmetric, in [0, 1], 0 for equals."""


def page_distances(outcomes: Sequence[Outcome]) -> list[list[float]]:
    """Jaccard distances of the sets of pages that the searches found."""
    return _jaccard([{hit.page_id for turn in outcome.turns for hit in turn.hits} for outcome in outcomes])


def query_distances(outcomes: Sequence[Outcome]) -> list[list[float]]:
    """Jaccard distances of the sets of words that were searched."""
    return _jaccard(
        [
            {word for query in outcome.queries for word in query_key(query.replace("\n", " "))}
            for outcome in outcomes
        ]
    )


def diversity(outcomes: Sequence[Outcome], distances: Distances = page_distances) -> tuple[float, ...]:
    """The mean distance of each rollout to its peers, in [0, 1]."""
    distances_GG = distances(outcomes)
    return _against_peers(outcomes, lambda one, other: distances_GG[one][other])


def distinctness(
    outcomes: Sequence[Outcome], distances: Distances = page_distances, threshold: float = 0.5
) -> tuple[float, ...]:
    """DARLING's measure: the share of a rollout's peers that are of another kind, in [0, 1].

    Rollouts nearer than ``threshold`` are of one kind, and so are, in a chain, those near to either.
    """
    distances_GG = distances(outcomes)
    kind = list(range(len(outcomes)))
    for one in range(len(outcomes)):
        for other in range(one):
            if distances_GG[one][other] < threshold and kind[one] != kind[other]:
                old = kind[one]
                kind = [kind[other] if name == old else name for name in kind]
    return _against_peers(outcomes, lambda one, other: float(kind[one] != kind[other]))


def quality_x_diversity(outcomes: Sequence[Outcome]) -> tuple[float, ...]:
    """The default reward times the diversity of pages, in [0, 1]."""
    rewards = [compute_reward(outcome, RewardConfig())[0] for outcome in outcomes]
    return tuple(max(0.0, reward) * share for reward, share in zip(rewards, diversity(outcomes), strict=True))


GROUP_SCORES: Table[Callable[[Sequence[Outcome]], tuple[float, ...]]] = Table(
    "group score",
    {
        "page_diversity": diversity,
        "query_diversity": lambda outcomes: diversity(outcomes, query_distances),
        "page_distinctness": distinctness,
        "query_distinctness": lambda outcomes: distinctness(outcomes, query_distances),
        "quality_x_diversity": quality_x_diversity,
    },
    group="drag_rl.group_scores",
)
"""Name -> one score in [0, 1] for each rollout of a group."""


class GroupConfig(Config):
    """How the diversity of a group changes the rewards of its rollouts."""

    combine: Literal["off", "multiply", "add"] = "off"
    """``multiply``: reward x diversity, as DARLING does; ``add``: reward + weight x diversity, which pays for variety
    that finds nothing, so keep the weight small."""
    weight: float = Field(default=0.1, ge=0)
    """Weight of the diversity when it is added."""
    floor: float = Field(default=0.1, ge=0, le=1)
    """The least factor when it multiplies: a find keeps this share when every rollout made it."""
    measure: Literal["mean", "kinds"] = "mean"
    """Mean distance to the peers, or DARLING's share of peers of another kind."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """Distance from which on two rollouts are of different kinds."""
    distance: str = "pages"
    """A name in ``DISTANCES``: by retrieved pages, by query words, or by a text model, which is loaded here (``local``)
    or served (``vllm``)."""
    model: str | None = None
    """For ``local`` the folder, for ``vllm`` the served name, of an embedding model or a pair classifier."""
    classifier: bool = False
    """The model judges pairs (same or different) instead of embedding texts."""
    server: str = "http://127.0.0.1:8000"
    """Root URL of the vLLM server, for ``vllm``."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Longest wait for one answer of the server."""

    @field_validator("distance")
    @classmethod
    def _known(cls, distance: str) -> str:
        if distance not in DISTANCES:
            raise ValueError(DISTANCES.unknown(distance))
        return distance


DISTANCES: Table[Callable[[GroupConfig], Distances]] = Table(
    "distance",
    {
        "pages": lambda _: page_distances,
        "queries": lambda _: query_distances,
        "local": "reward.diversity_model:local_distances",
        "vllm": "reward.diversity_model:served_distances",
    },
    group="drag_rl.distances",
)
"""Name -> makes the distance of a configuration."""


def distances_of(config: GroupConfig) -> Distances:
    """The distance that a configuration names; it may load a model, so keep what is returned.

    Raises InputError where a model is needed and not named, cannot be loaded, or is no model of its kind.
    """
    return DISTANCES.find(config.distance, "option 'distance'")(config)


def group_rewards(
    outcomes: Sequence[Outcome],
    rewards: Sequence[float],
    config: GroupConfig,
    distances: Distances | None = None,
) -> tuple[float, ...]:
    """The rewards of a group's rollouts with their diversity, aligned with ``outcomes``.

    ``distances`` is what ``distances_of(config)`` gives, made now if it is None: give it where a model would be loaded
    again and again. A factor applies to positive rewards only: a penalty is no smaller for being unusual.
    """
    if config.combine == "off":
        return tuple(rewards)
    by = distances or distances_of(config)
    shares = (
        diversity(outcomes, by) if config.measure == "mean" else distinctness(outcomes, by, config.threshold)
    )
    if config.combine == "add":
        return tuple(reward + config.weight * share for reward, share in zip(rewards, shares, strict=True))
    factors = [max(config.floor, share) for share in shares]
    return tuple(
        reward * factor if reward > 0 else reward for reward, factor in zip(rewards, factors, strict=True)
    )


def _against_peers(outcomes: Sequence[Outcome], differ: Callable[[int, int], float]) -> tuple[float, ...]:
    """The mean difference of each rollout to the others that found a page."""
    active = [g for g, outcome in enumerate(outcomes) if any(turn.hits for turn in outcome.turns)]
    shares = [0.0] * len(outcomes)
    for one in active:
        peers = [differ(one, other) for other in active if other != one]
        shares[one] = sum(peers) / len(peers) if peers else 1.0
    return tuple(shares)


def _jaccard(sets: Sequence[set[str]]) -> list[list[float]]:
    return [
        [1 - len(one & other) / len(one | other) if one | other else 0.0 for other in sets] for one in sets
    ]
