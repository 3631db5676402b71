"""The search protocol: prompts, actions, observations, and ``SearchEpisode``."""

from drag_rl.episode.episode import FinishReason, SearchEpisode
from drag_rl.episode.neutral import neutralise
from drag_rl.episode.observation import Message, Observation, as_text
from drag_rl.episode.request import SearchRequest
from drag_rl.protocol import EpisodeConfig

__all__ = [
    "EpisodeConfig",
    "FinishReason",
    "Message",
    "Observation",
    "SearchEpisode",
    "SearchRequest",
    "as_text",
    "neutralise",
]
