"""A policy of an installed package: it prompts a model with the hits of its search, and answers when that is sure."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from statistics import fmean

from drag_rl.episode.prompt import action_text
from drag_rl.policies.base import EpisodeState, Reply
from drag_rl.policies.server.policy import ServerPolicy

SURE = 0.9


class Refine(ServerPolicy):
    async def reply(self, state: EpisodeState) -> Reply:
        hits = state.turns[-1].hits if state.turns else ()
        seen = "\n".join(f"{hit.page_id}: {hit.snippet}" for hit in hits)
        prompt = f"Question: {state.question.text}\nFound:\n{seen}\nNext keywords:"
        said = await self.ask([{"role": "user", "content": prompt}], log_probs=True)
        if hits and (state.turns_left == 1 or exp(fmean(said.log_probs)) > SURE):
            return replace(said, text=action_text("", "answer", f"[{hits[0].page_id}]", state.config))
        return replace(said, text=action_text("", "search", said.text, state.config))
