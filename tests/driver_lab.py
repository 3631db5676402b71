"""One scripted policy for every driver: played by messages, or collected over HTTP."""

from __future__ import annotations

from fake_openai import until_stop

from drag_rl.policies.play import Reply
from drag_rl.policies.server.message_encoding import Wire
from drag_rl.policies.server.model_server import ServerSettings
from drag_rl.policies.server.sampling import SAMPLINGS
from drag_rl.star.collect import Job, Rollouts
from drag_rl.types import Question, Trajectory

QUESTION = Question(
    question_id="q", text="Which fox is red?", gold_page_ids=("doc#1",), answers=("that one",)
)


class Script:
    """A policy that says the given texts, up to the first stop string."""

    def __init__(self, texts):
        self.texts = iter(texts)

    async def reply(self, messages, tools, stop):  # noqa: ARG002
        text, finish_reason, ending = until_stop(next(self.texts), stop)
        return Reply(text=text + (ending or ""), finish_reason=finish_reason)


def rollouts(server, index, config, dialect="vllm"):
    return Rollouts(
        server=ServerSettings(
            base_url=server.url, model="m", api_key="k", timeout_s=20, retries=2, dialect=dialect
        ),
        searcher=index,
        episode=config,
        sampling_name="default",
        sampling=SAMPLINGS["default"],
        wire=Wire(structured_calls=dialect == "openai"),
    )


def collected(server, index, config, dialect="vllm", question=QUESTION) -> Trajectory:
    done = []
    rollouts(server, index, config, dialect).run(
        [Job(question=question, sample=0)], lambda _, trajectory: done.append(trajectory), 1
    )
    return done[0]
