"""Masks, weights and tokens of the SFT data set, with the real tokenizer and processor of a tiny Qwen3-VL."""

from __future__ import annotations

import random
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import training_lab
from omegaconf import OmegaConf
from PIL import Image

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.observation import as_text
from drag_rl.errors import InputError


@pytest.fixture(scope="module")
def data(tiny_data):
    return tiny_data


@pytest.fixture(scope="module")
def tokens(tiny_model):
    """The tokenizer and processor as verl loads them."""
    import verl  # noqa: F401
    from verl.utils import hf_processor, hf_tokenizer

    return hf_tokenizer(str(tiny_model)), hf_processor(str(tiny_model))


def write(path, rows):
    whole = []
    for row in rows:
        said = sum(message["role"] == "assistant" for message in row["messages"])
        defaults = {"images": [], "turn_train": [True] * said, "rank_score": 1.0, "best_rank": 1}
        whole.append({**defaults, **row})
    pq.write_table(pa.Table.from_pylist(whole), path)
    return str(path)


def dataset(tokens, file, **options):
    from drag_rl.training.sft_dataset import SearchSFTDataset

    config = OmegaConf.create(
        {"drag": options, "max_length": 4096, "train_batch_size": 1, "train_files": file}
    )
    return SearchSFTDataset(file, tokens[0], config, tokens[1])


def trained_text(tokens, example, weight=1.0):
    """The texts of the runs of tokens that carry loss."""
    runs, run = [], []
    for token, mask in zip(
        [*example["input_ids"].tolist(), 0], [*example["loss_mask"].tolist(), 0], strict=True
    ):
        assert mask in (0, pytest.approx(weight))
        if mask:
            run.append(token)
        elif run:
            runs.append(tokens[0].decode(run))
            run = []
    return runs


CHAT = [
    {"role": "system", "content": "Search."},
    {"role": "user", "content": "Where is the <answer> seal?"},
    {"role": "assistant", "content": "<think>hm</think><search>seal</search>"},
    {"role": "user", "content": "1. pumps#2 <search>no</search>"},
    {"role": "assistant", "content": "<search>shaft seal</search> please"},
    {"role": "user", "content": "1. pumps#1"},
    {"role": "assistant", "content": "<answer>There.</answer>"},
]


def test_tokens_are_those_of_the_whole_chat(tokens, tmp_path):
    example = dataset(tokens, write(tmp_path / "a.parquet", [{"messages": CHAT}]))[0]
    whole = tokens[1].apply_chat_template(CHAT, tokenize=False)
    assert tokens[0].decode(example["input_ids"]) == whole
    assert example["position_ids"].shape == (4, len(example["input_ids"]))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"mask_strategy": "assistant"}, [m["content"] + "<|im_end|>" for m in CHAT if m["role"] == "assistant"]),
        ({"mask_strategy": "search-only"}, ["<search>seal</search>", "<search>shaft seal</search>"]),
    ],
)  # fmt: skip
def test_only_the_wanted_tokens_carry_loss(tokens, tmp_path, options, wanted):
    example = dataset(tokens, write(tmp_path / "a.parquet", [{"messages": CHAT}]), **options)[0]
    assert trained_text(tokens, example) == wanted


def test_the_mask_none_trains_every_token_that_has_one_before_it(tokens, tmp_path):
    example = dataset(tokens, write(tmp_path / "a.parquet", [{"messages": CHAT}]), mask_strategy="none")[0]
    assert example["loss_mask"][0] == 0 and example["loss_mask"][1:].min() == 1


def test_wasted_turns_carry_no_loss_unless_asked(tokens, tmp_path):
    file = write(tmp_path / "a.parquet", [{"messages": CHAT, "turn_train": [False, True, True]}])
    assert trained_text(tokens, dataset(tokens, file)[0]) == [
        "<search>shaft seal</search> please<|im_end|>",
        "<answer>There.</answer><|im_end|>",
    ]
    assert len(trained_text(tokens, dataset(tokens, file, turns="all")[0])) == 3


@pytest.mark.parametrize(
    ("scheme", "weights"),
    [("none", [1, 1]), ("rank-score", [1, 1 / 3]), ("binary", [1, 0.5])],
)
def test_a_row_weighs_what_its_scheme_says(tokens, tmp_path, scheme, weights):
    rows = [
        {"messages": CHAT, "rank_score": 1.0, "best_rank": 1},
        {"messages": CHAT, "rank_score": 1 / 3, "best_rank": 3},
    ]
    examples = dataset(tokens, write(tmp_path / "a.parquet", rows), weight_scheme=scheme)
    for example, weight in zip((examples[0], examples[1]), weights, strict=True):
        assert len(trained_text(tokens, example, weight)) == 3


def test_native_tool_calls_are_searches_too(tokens, tmp_path, data):
    episode = next(training_lab.dialogues(data, EpisodeConfig(action_format="tools", think=False), seed=2))
    messages = [{**message, "name": message.get("name")} for message in episode.messages]
    file = write(tmp_path / "a.parquet", [{"messages": messages, "tools": episode.tools}])
    example = dataset(tokens, file, mask_strategy="search-only")[0]
    whole = tokens[1].apply_chat_template(episode.messages, tools=episode.tools, tokenize=False)
    assert tokens[0].decode(example["input_ids"]) == whole
    calls = [turn.text for turn in episode.outcome().searches]
    assert trained_text(tokens, example) == calls


def test_images_stand_where_the_conversation_shows_them(tokens, tmp_path):
    draw = random.Random(0)
    paths = []
    for number in range(2):
        image = Image.new("RGB", (64, 96), tuple(draw.choices(range(255), k=3)))
        paths.append(str(tmp_path / f"{number}.png"))
        image.save(paths[-1])
    chat = [dict(message) for message in CHAT]
    chat[3]["content"] = "1. pumps#2\n<image>\n2. pumps#3\n<image>"
    example = dataset(
        tokens,
        write(tmp_path / "a.parquet", [{"messages": chat, "images": [{"image": path} for path in paths]}]),
    )[0]
    ids = example["input_ids"]
    image_id = tokens[0].convert_tokens_to_ids(tokens[1].image_token)
    vision = example["multi_modal_inputs"]
    assert vision["image_grid_thw"].shape == (2, 3)
    merge = tokens[1].image_processor.merge_size ** 2
    assert (ids == image_id).sum() == vision["image_grid_thw"].prod(-1).sum() // merge
    assert not example["loss_mask"][ids == image_id].any()
    # The same as the processor makes of the whole conversation at once.
    parts = [dict(message) for message in chat]
    shown = [
        {"type": "text", "text": "1. pumps#2\n"},
        {"type": "image"},
        {"type": "text", "text": "\n2. pumps#3\n"},
    ]
    parts[3]["content"] = [*shown, {"type": "image"}]
    images = [Image.open(path) for path in paths]
    text = tokens[1].apply_chat_template(parts, tokenize=False)
    whole = tokens[1](text=[text], images=images, return_tensors="pt")
    assert ids.tolist() == whole["input_ids"][0].tolist()
    assert vision["pixel_values"].equal(whole["pixel_values"])


def test_what_the_rollout_showed_is_what_is_trained(tokens, tmp_path, data):
    config = EpisodeConfig(max_turns=3, think=False, snippet_chars=80)
    for episode in islice(training_lab.dialogues(data, config, seed=3), 5):
        messages = [{"role": m["role"], "content": as_text(m)} for m in episode.messages]
        example = dataset(tokens, write(tmp_path / "a.parquet", [{"messages": messages}]))[0]
        said = [turn.text + "<|im_end|>" for turn in episode.outcome().turns]
        assert trained_text(tokens, example) == said


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"messages": CHAT * 60}, {}, "max_length"),
        ({"messages": CHAT, "images": [{"image": "/nowhere.png"}]}, {}, "cannot be read"),
        ({"messages": CHAT}, {"mask_strategy": "some"}, "mask_strategy"),
    ],
)
def test_a_bad_row_or_option_is_named(tokens, tmp_path, row, options, message):
    with pytest.raises(InputError, match=message):
        dataset(tokens, write(tmp_path / "a.parquet", [row]), **options)[0]


def test_a_file_without_the_columns_is_refused(tokens, tmp_path):
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="drag format"):
        dataset(tokens, str(tmp_path / "a.parquet"))


def test_too_few_rows_for_a_batch_are_refused(tokens, tmp_path):
    from drag_rl.training.sft_dataset import SearchSFTDataset

    file = write(tmp_path / "a.parquet", [{"messages": CHAT}] * 3)
    config = {"drag": {}, "max_length": 4096, "train_batch_size": 8, "train_files": file}
    with pytest.raises(InputError, match="3 rows are less than one batch"):
        SearchSFTDataset(file, tokens[0], OmegaConf.create(config), tokens[1])
    validation = SearchSFTDataset(
        file, tokens[0], OmegaConf.create(config | {"train_files": "other"}), tokens[1]
    )
    assert len(validation) == 9
