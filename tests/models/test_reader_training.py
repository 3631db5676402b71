"""Training: what the losses ask for, and that a killed run goes on as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from reader_lab import prepared_pages

from drag_rl.errors import InputError
from drag_rl.models.reader.crops import CropSource
from drag_rl.models.reader.learner import LearnerSettings
from drag_rl.models.reader.loss import Labels, LetterLoss, WordLoss, by_patch, rounding, signs
from drag_rl.models.reader.model import load_reader, new_reader
from drag_rl.models.reader.page_store import TRAIN, PageStore
from drag_rl.models.reader.tower import stock_input
from drag_rl.models.reader.train import CHECKPOINT, Training, TrainSettings
from drag_rl.models.reader.whitening import whiten


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PageStore:
    return PageStore(prepared_pages(tmp_path_factory.mktemp("reader")))


def _training(store: PageStore, run: Path, steps: int, seed: int = 0) -> Training:
    torch.set_num_threads(1)
    settings = TrainSettings(steps=steps, tiles=2, watch_steps=2, save_minutes=1e9, seed=seed)
    learning = LearnerSettings(others=16, tap=1)
    return Training(store, run, new_reader(seed, width=64, depth=1), settings, learning, "cpu")


def _labels(cells: list[int], words: list[int], covered: torch.Tensor) -> Labels:
    return Labels(
        cells=torch.tensor(cells),
        words=torch.tensor(words),
        covered=covered,
        weights=torch.ones(covered.shape[1]),
    )


def test_cells_that_are_like_their_words_cost_little() -> None:
    covered = torch.eye(4, dtype=torch.bool)
    labels = _labels([0, 1, 2], [0, 1, 2], covered)
    words = torch.eye(4, 8)
    right = WordLoss()(words, words, labels)
    wrong = WordLoss()(words.roll(1, dims=0), words, labels)
    assert float(right) < 0.01 < 10 < float(wrong)


def test_a_cell_with_two_words_is_not_blamed_for_either() -> None:
    covered = torch.zeros(2, 3, dtype=torch.bool)
    covered[0, :2] = True
    labels = _labels([0, 0], [0, 1], covered)
    words = torch.eye(3, 8)
    between = torch.nn.functional.normalize(words[0] + words[1], dim=0)
    cells = torch.stack([between, words[2]])
    assert float(WordLoss()(cells, words, labels)) < 0.01


def test_a_word_may_answer_with_any_cell_that_it_covers() -> None:
    covered = torch.tensor([[True], [True], [False]])
    loss = WordLoss()
    word = torch.eye(1, 8)
    for best in (0, 1):
        cells = -word.repeat(3, 1)
        cells[best] = word
        assert float(loss(cells, word, _labels([0], [0], covered))) < 0.01
    cells = -word.repeat(3, 1)
    cells[2] = word
    assert float(loss(cells, word, _labels([0], [0], covered))) > 10


def test_signs_are_what_a_first_look_sees_and_let_gradients_through() -> None:
    vectors = torch.nn.functional.normalize(
        torch.randn(5, 128, generator=torch.Generator().manual_seed(0)), dim=1
    )
    vectors.requires_grad_()
    rounded = signs(vectors)
    assert torch.allclose(rounded.detach().norm(dim=1), torch.ones(5))
    assert torch.equal(rounded.detach() < 0, vectors.detach() < 0)
    (rounded * torch.arange(128.0)).sum().backward()
    assert torch.equal(vectors.grad, torch.arange(128.0).expand(5, -1))
    cosines = (rounded * vectors).sum(dim=1).mean()
    assert float(rounding(vectors)) == pytest.approx(float(1 - cosines), abs=1e-6)
    assert float(rounding(rounded)) == pytest.approx(0, abs=1e-6)


def test_slots_belong_to_the_patch_that_they_lie_in() -> None:
    letters = torch.zeros(1, 32, 64, dtype=torch.long)
    letters[0, 3, 9] = 5  # pixels 24 to 31 down and 36 to 39 across: the second row's third patch
    slots = by_patch(letters)
    assert slots.shape == (1, 256, LetterLoss.SLOTS)
    assert slots.nonzero().tolist() == [[0, 16 + 2, 4 + 1]]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(store: PageStore, tmp_path) -> None:
    whole = _training(store, tmp_path / "whole", 4)
    whole.go_on()
    first = _training(store, tmp_path / "halves", 2)
    first.go_on()
    second = _training(store, tmp_path / "halves", 4, seed=0)
    assert second.step == 2
    second.go_on()
    for (name, weight), other in zip(
        whole.learner.state_dict().items(), second.learner.state_dict().values(), strict=True
    ):
        assert torch.equal(weight, other), name
    curves = [json.loads((tmp_path / name / "curve.json").read_text()) for name in ("whole", "halves")]
    losses = [[row["loss"] for row in curve] for curve in curves]
    assert losses[0] == losses[1]
    assert [row["step"] for row in curves[0]] == [2, 4] and "read_documents" in curves[0][0]
    assert load_reader(tmp_path / "halves" / "model").config.hidden_size == 64


def test_a_run_on_other_pages_is_not_taken_up(store: PageStore, tmp_path) -> None:
    training = _training(store, tmp_path / "run", 1)
    training.go_on()
    assert (tmp_path / "run" / CHECKPOINT).is_file()
    other = prepared_pages(tmp_path / "other")
    (other / "manifest.json").write_text(
        (other / "manifest.json").read_text().replace(PageStore(other).fingerprint, "0" * 64)
    )
    with pytest.raises(InputError, match="trained on other pages"):
        _training(PageStore(other), tmp_path / "run", 2)


@pytest.mark.slow
def test_a_reader_learns_the_words_of_its_tiles(store: PageStore, tmp_path) -> None:
    training = _training(store, tmp_path / "run", 60)
    batch = training._source.batch(0)
    before, _ = training.learner.reads(batch, 0)
    for number in range(60):
        training.learner.step(batch, number, min(1.0, (number + 1) / 20))
    read, found = training.learner.reads(batch, 0)
    assert before < 0.3 and read > 0.9 and found > 0.9


def test_a_new_tower_sees_patches_as_independent_numbers(store: PageStore) -> None:
    reader = new_reader(0, width=64, depth=1)
    source = CropSource(store, TRAIN, tiles=12, seed=0, faults=False)
    tiles = source.batch(0).tiles
    whiten(reader, tiles, seed=0)
    pixels, _ = stock_input(torch.from_numpy(tiles).float() / 127.5 - 1)
    inked = pixels.std(dim=1) > 0.02
    with torch.no_grad():
        seen = reader.eye.tower.patch_embed(pixels[inked])
    assert seen.mean(dim=0).abs().max() < 0.1
    correlation = seen.T.corrcoef() - torch.eye(64)
    assert correlation.abs().mean() < 0.2
    assert 0.1 < seen.std() < 2
