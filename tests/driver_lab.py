"""One scripted policy for every driver: played by messages, or collected over HTTP."""

from __future__ import annotations

from fake_openai import until_stop

from drag_rl.policies.base import Reply
from drag_rl.policies.server.message_encoding import MessageEncoding
from drag_rl.policies.server.model_server import ServerSettings
from drag_rl.policies.server.policy import ServerPolicy
from drag_rl.policies.server.source import ServerPolicies
from drag_rl.policies.source import PolicyOptions
from drag_rl.star.collect import Job, Rollouts
from drag_rl.types import Question, Trajectory

QUESTION = Question(
    question_id="q", text="Which fox is red?", gold_page_ids=("doc#1",), answers=("that one",)
)


class Script:
    """A policy that says the given texts, up to the first stop string."""

    def __init__(self, texts):
        self.texts = iter(texts)

    async def reply(self, state):
        text, finish_reason, ending = until_stop(next(self.texts), state.stop)
        return Reply(text=text + (ending or ""), finish_reason=finish_reason)


def rollouts(server, index, config, dialect="vllm", policy=ServerPolicy, **settings):
    given = {"base_url": server.url, "model": "m", "api_key": "k", "timeout_s": 20, "retries": 2, **settings}
    policies = ServerPolicies(
        ServerSettings(dialect=dialect, **given),
        MessageEncoding(structured_calls=dialect == "openai"),
        PolicyOptions(),
        index.retriever,
        policy,
    )
    return Rollouts(
        policies=policies, retriever=index.retriever, episode=config, model="m", sampling="default"
    )


def collected(server, index, config, dialect="vllm", question=QUESTION) -> Trajectory:
    done = []
    rollouts(server, index, config, dialect).run(
        [Job(question=question, sample=0)], lambda _, trajectory: done.append(trajectory), 1
    )
    return done[0]
