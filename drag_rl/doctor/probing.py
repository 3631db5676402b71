"""How much the ways of gaming a reward earn on a corpus, beside an honest search."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from drag_rl.episode import EpisodeConfig, Observation, SearchEpisode
from drag_rl.retrieval import SearchIndex
from drag_rl.types import Hit, Outcome, Question
from reward.probes import HONEST, PROBES, Knowledge, Probe
from reward.table import RewardConfig, compute_reward


def probe_rewards(
    questions: Sequence[Question], index: SearchIndex, config: EpisodeConfig, reward: RewardConfig
) -> dict[str, float]:
    """The mean reward of each policy over the questions; ``HONEST`` comes first."""
    knowledge = knowledge_of(index)
    return {
        probe.name: fmean(
            compute_reward(play_probe(probe, question, knowledge, index, config), reward)[0]
            for question in questions
        )
        for probe in (HONEST, *PROBES)
    }


def knowledge_of(index: SearchIndex) -> Knowledge:
    """The corpus by heart: its words, most frequent first, and its page ids."""
    words = Counter(word for page_id in index.page_ids for word in re.findall(r"\w+", index.page(page_id)))
    return Knowledge(words=tuple(word for word, _ in words.most_common()), page_ids=index.page_ids)


def play_probe(
    probe: Probe, question: Question, knowledge: Knowledge, index: SearchIndex, config: EpisodeConfig
) -> Outcome:
    """One episode of a probe."""
    episode, shown = SearchEpisode(question, index, config), list[tuple[Hit, ...]]()
    while not episode.stop_reason:
        reply = episode.step(probe.write(question, knowledge, shown), "stop")
        if isinstance(reply, Observation):
            shown.append(reply.hits)
            episode.commit(reply)
    return episode.outcome()
