"""Golden: a row of ``drag format``, read by the SFT data sets, is token by token what the policy saw and wrote."""

from __future__ import annotations

import pytest
import trajectory_lab as lab
from omegaconf import OmegaConf
from rollout_lab import CALLS, ROOMY, SEARCHES, policy_texts, rollout

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.prompt import action_text
from drag_rl.star.formats.build import FormatOptions, write_training_data
from drag_rl.types import Trajectory

THOUGHTS = [
    "<think>An <image> of it?</think><search>impeller care</search>",
    "<think>\nHm.\n</think>\n\n<search>seal</search>",
    "<answer>It needs care [pumps#1].</answer>",
]


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize(("action_format", "texts"), [("xml", SEARCHES[:1]), ("tools", CALLS[:1])])
def test_what_teaches_to_stop_are_the_tokens_of_a_rollout_that_did(
    data, processor, tmp_path, action_format, texts, shots
):
    """The row ends as the rollout did, with mask and all, though it is the trace that says where it should end."""
    episode = {"action_format": action_format, "shots": shots, "answer": False, "enough": True}
    overrides = [f"drag.episode.{name}={value}" for name, value in episode.items()]
    config = EpisodeConfig(think=False, **episode)
    texts = [*texts, action_text("", "enough", "pumps#1", config)]
    output, outcome, _ = rollout(data, processor, texts, *ROOMY, "data.max_prompt_length=4000", *overrides)
    assert outcome.stop_reason == "enough" and outcome.enough.pages == ("pumps#1",)
    assert policy_texts(output, processor.tokenizer) == [text + "<|im_end|>" for text in texts]
    row = ours(format_one(data, tmp_path, outcome, config) / "sft_trajectory_train.parquet", processor)
    line_end = processor.tokenizer.encode("\n")
    assert row["input_ids"].tolist() == [*output.prompt_ids, *output.response_ids, *line_end]
    assert [mask > 0 for mask in row["loss_mask"].tolist()] == [
        *[False] * len(output.prompt_ids),
        *[bool(mask) for mask in output.response_mask],
        False,
    ]


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("observation", ["text", "image", "both"])
@pytest.mark.parametrize(("action_format", "texts"), [("xml", SEARCHES), ("tools", CALLS), ("xml", THOUGHTS)])
def test_sft_tokens_are_the_rollouts(data, processor, tmp_path, action_format, texts, observation, shots):
    episode = {"action_format": action_format, "observation": observation, "shots": shots}
    overrides = [f"drag.episode.{name}={value}" for name, value in episode.items()]
    output, outcome, _ = rollout(data, processor, texts, *ROOMY, "data.max_prompt_length=4000", *overrides)
    files = format_one(data, tmp_path, outcome, EpisodeConfig(think=False, **episode))
    whole = files / "sft_trajectory_train.parquet"
    # The next message's template puts a line end behind each message, which the policy does not write.
    rolled = [*output.prompt_ids, *output.response_ids]
    line_end = processor.tokenizer.encode("\n")
    if texts == THOUGHTS:  # what stands as <image> in a policy's text is no image for verl's data sets
        swapped = processor.tokenizer.decode(rolled).replace("An <image>", "An \u2039image>")
        assert processor.tokenizer.decode(ours(whole, processor)["input_ids"]) == swapped + "\n"
    else:
        assert ours(whole, processor)["input_ids"].tolist() == rolled + line_end
        assert stock(whole, processor)["input_ids"].tolist() == rolled + line_end
        masked = ours(whole, processor)["loss_mask"].tolist()
        assert [mask > 0 for mask in masked] == [
            *[False] * len(output.prompt_ids),
            *[bool(mask) for mask in output.response_mask],
            False,
        ]
        assert policy_texts(output, processor.tokenizer) == [text + "<|im_end|>" for text in texts]
    # A single query reads the same in both data sets.
    for name in ("sft_query", "sft_best"):
        file = files / f"{name}_train.parquet"
        assert ours(file, processor)["input_ids"].tolist() == stock(file, processor)["input_ids"].tolist()


def format_one(data, folder, outcome, config):
    source = lab.write(folder / "processed.jsonl", [Trajectory(outcome=outcome)], config)
    options = FormatOptions(
        pages=data / "pages", max_pixels=50_176, val_split=0.0
    )  # as configs/hardware/cpu.yaml
    write_training_data(source, folder / "data", options)
    return folder / "data"


def ours(file, processor):
    from drag_rl.training.sft_dataset import SearchSFTDataset

    config = OmegaConf.create({"max_length": 9000, "train_batch_size": 1, "train_files": str(file)})
    return SearchSFTDataset(str(file), processor.tokenizer, config, processor)[0]


def stock(file, processor):
    """The same row by verl's own data set."""
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    config = OmegaConf.create({"pad_mode": "no_padding", "max_length": 9000})
    return MultiTurnSFTDataset(str(file), processor.tokenizer, config, processor)[0]
