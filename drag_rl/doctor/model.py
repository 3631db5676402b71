"""Whether the model's chat template keeps what was said."""

from __future__ import annotations

from typing import Any

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.prompt import opening_messages, tool_schemas
from drag_rl.errors import InputError
from drag_rl.types import Question


def keeps_messages(model: str, config: EpisodeConfig) -> str:
    """Render an episode's first messages with the model's processor, before and after a search."""
    try:
        from transformers import AutoProcessor

        processor: Any = AutoProcessor.from_pretrained(model)
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"{model}: its processor cannot be loaded: {str(error).splitlines()[0]}") from None
    question = Question(question_id="x", text="Where?", gold_page_ids=("a#1",))
    messages = opening_messages(question, config)
    said = "<search>words</search>"
    after = [*messages, {"role": "assistant", "content": said}]
    role = "tool" if config.action_format == "tools" else "user"
    shown: list[dict[str, Any]] = [{"type": "text", "text": "1. a#1"}]
    if config.observation != "text":
        shown.append({"type": "image"})
    whole = [*after, {"role": role, "content": shown}]
    render = processor.apply_chat_template
    before = render(messages, tools=tool_schemas(config), tokenize=False, add_generation_prompt=True)
    text = render(whole, tools=tool_schemas(config), tokenize=False, add_generation_prompt=True)
    if not text.startswith(before + said):
        raise InputError(
            f"{model}: its chat template changes what was said before, so rollouts and training would differ; "
            "use an Instruct model, or action_format=tools"
        )
    if config.observation != "text" and processor.image_token not in text:
        raise InputError(
            f"{model}: its chat template drops images of {role} messages; use another action_format or observation"
        )
    tokens = len(processor.tokenizer(before)["input_ids"])
    return f"the chat template keeps every message; the opening has {tokens} tokens"
