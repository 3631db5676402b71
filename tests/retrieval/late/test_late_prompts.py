"""What a model reads around pages and queries: colpali-engine's prompts, and no special token of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from PIL import Image

from drag_rl.retrieval.late.processor import PageProcessor
from drag_rl.retrieval.late.prompts import (
    AUGMENTATION_TOKENS,
    CHAT_TEMPLATE,
    MAX_QUERY_CHARS,
    PAGE_PROMPT,
    plain_query,
    query_prompt,
)

SPECIAL = (
    "<|image_pad|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|vision_start|>",
    "<|video_pad|>",
    "<\uff5cend\uff5c>",
)


@pytest.fixture(scope="module")
def processor(tiny_late_model: Path) -> PageProcessor:
    from drag_rl.retrieval.late.loading import load_processor

    return load_processor(tiny_late_model)


def test_prompts_are_those_of_colpali_engine() -> None:
    import colpali_lab  # noqa: F401
    from colpali_engine.models import ColQwen3Processor

    assert ColQwen3Processor.visual_prompt_prefix == PAGE_PROMPT
    theirs = ColQwen3Processor.query_augmentation_token * 10
    assert query_prompt("what is it?") == f"what is it?{theirs}"


def test_messages_are_written_as_we_write_them() -> None:
    def written(content: object) -> str:
        return (
            Environment().from_string(CHAT_TEMPLATE).render(messages=[{"role": "user", "content": content}])
        )

    assert written([{"type": "image"}]) == written([{"type": "image_url"}]) == PAGE_PROMPT
    assert written([{"type": "text", "text": "why?"}]) == written("why?") == query_prompt("why?")


@given(
    st.lists(st.one_of(st.sampled_from(SPECIAL), st.text(st.characters(), max_size=5)), max_size=8).map(
        "".join
    )
)
def test_no_text_of_a_query_becomes_a_special_token(processor: PageProcessor, text: str) -> None:
    batch = processor.queries([text])
    ids = batch["input_ids"][0].tolist()
    special = set(processor.tokenizer.all_special_ids)
    assert set(ids[-AUGMENTATION_TOKENS:]) == {processor.tokenizer.pad_token_id}
    assert not special & set(ids[:-AUGMENTATION_TOKENS])
    assert len(processor.query_pieces(text)) == len(ids)
    assert plain_query(plain_query(text)) == plain_query(text)


def test_each_token_of_a_query_has_its_piece_of_the_text(processor: PageProcessor) -> None:
    pieces = processor.query_pieces("how to stop an engine")
    assert "".join(pieces) == "howtostopanengine" and pieces[-AUGMENTATION_TOKENS:] == [""] * 10
    assert processor.query_pieces("") == [""] * 10


def test_a_query_is_cut() -> None:
    assert len(plain_query("x" * 100_000)) == MAX_QUERY_CHARS


def test_what_no_tokenizer_takes_is_taken_out(processor: PageProcessor) -> None:
    assert plain_query(" a\ud800b\x00 u\u0308 ") == "ab \u00fc"
    assert processor.query_pieces("\ud800")[-AUGMENTATION_TOKENS:] == [""] * 10


def test_rows_are_padded_on_the_left(processor: PageProcessor) -> None:
    mask = processor.queries(["a", "a b c d e f g h"])["attention_mask"]
    assert not mask[0, 0] and mask[:, -1].all()
    pages = processor.pages([Image.new("RGB", size) for size in ((64, 64), (256, 256))])
    assert not pages["attention_mask"][0, 0] and pages["attention_mask"][:, -1].all()
    assert (pages["input_ids"] == processor.image_token_id).sum(1).tolist() == [4, 64]


@pytest.mark.parametrize("most", [4, 16, 40])
def test_no_page_has_more_tokens_than_asked_for(tiny_late_model: Path, most: int) -> None:
    from drag_rl.retrieval.late.loading import load_processor

    limited = load_processor(tiny_late_model, most)
    sizes = [(500, 700), (3000, 20), (20, 3000), (1, 1000), (9400, 47), (1, 1)]
    seen = limited.pages([Image.new("RGB", size) for size in sizes])
    tokens = (seen["input_ids"] == limited.image_token_id).sum(1).tolist()
    assert max(tokens) <= most
    grids = [limited.grid(*size) for size in sizes]
    assert seen["image_grid_thw"].tolist() == [[1, 2 * rows, 2 * columns] for rows, columns in grids]
    assert dict(limited.qwen.image_processor.size)["longest_edge"] == most * 32**2
