"""Scorers that are models: a cross-encoder reads query and page together, an embedder each by itself.

The only module of reranking that knows sentence-transformers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.files.fingerprint import combined, fingerprint_files
from drag_rl.retrieval.page_texts import PageTexts


class ModelScorer:
    """Reads the pages' texts with a model, one query at a time in a thread of its own.

    A query's candidates are always read together and alone, so that nothing else changes their scores. A page is read
    as far as the model's window goes.
    """

    def __init__(self, pages: PageTexts, model: str, *, device: str = "", batch_size: int = 32) -> None:
        """``model`` is a folder or hub id of sentence-transformers; ``device`` empty takes a GPU if there is one.

        Raises ``InputError`` for a model that cannot be loaded, or that gives more than one score.
        """
        self._pages = pages
        self._batch_size = batch_size
        self._model, self._embeds = _loaded(model, device, model_fingerprint(model))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rerank")

    async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
        """See :class:`drag_rl.retrieval.combine.scorer.PageScorer`: a logit, or the cosine of two embeddings."""
        texts = [self._pages.text(page_id) for page_id in page_ids]
        scores = self._by_embeddings if self._embeds else self._by_reading
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, scores, clean_text(query), texts
        )

    def _by_reading(self, query: str, texts: Sequence[str]) -> list[float]:
        logits = self._model.predict(
            [(query, text) for text in texts],
            batch_size=self._batch_size,
            activation_fn=_as_it_is,  # a sigmoid would make all good pages equal
            show_progress_bar=False,
        )
        return [float(logit) for logit in logits]

    def _by_embeddings(self, query: str, texts: Sequence[str]) -> list[float]:
        options = {
            "batch_size": self._batch_size,
            "normalize_embeddings": True,
            "show_progress_bar": False,
        }
        query_V = self._model.encode_query(query, **options)
        pages_DV = self._model.encode_document(list(texts), **options)
        return [float(score) for score in pages_DV @ query_V]


def model_fingerprint(model: str) -> str:
    """What a model is: of a folder, a digest of its files; of a hub id, the id."""
    folder = Path(model)
    return combined(fingerprint_files(folder)) if folder.is_dir() else model


@cache
def _loaded(model: str, device: str, fingerprint: str) -> tuple[Any, bool]:
    """The model, loaded once a process as long as it stays the same, and whether it is an embedder."""
    del fingerprint
    try:
        import sentence_transformers
        from sentence_transformers.util import load_file_path
    except ImportError:
        raise InputError("--model needs sentence-transformers: pip install 'drag-rl[retrieval]'") from None
    try:
        modules = load_file_path(model, "modules.json")
        about = load_file_path(model, "config_sentence_transformers.json")
        said = json.loads(Path(about).read_text(encoding="utf-8")) if about else {}
        embeds = (
            modules is not None and said.get("model_type", "SentenceTransformer") == "SentenceTransformer"
        )
        kind = sentence_transformers.SentenceTransformer if embeds else sentence_transformers.CrossEncoder
        loaded: Any = kind(model, device=device or None)
    except (OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(f"--model {model}: cannot be loaded: {said}") from error
    if not embeds and loaded.num_labels != 1:
        raise InputError(
            f"--model {model}: gives {loaded.num_labels} scores for a page; a reranker gives one"
        )
    return loaded, embeds


def _as_it_is(scores: Any) -> Any:
    return scores
