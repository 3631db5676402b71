"""An embedding model in this process. The only module that knows sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from drag_rl.errors import InputError
from drag_rl.retrieval.dense.embedder import LONGEST_WINDOW, EmbedderSettings, Role, Vectors, of_length_one
from drag_rl.retrieval.dense.families import Family, family_of
from drag_rl.retrieval.dense.model_files import model_fingerprint, model_folder
from drag_rl.retrieval.dense.passages import even_cuts

_PROMPT_NAMES = {"query": ("query", "queries"), "page": ("document", "passage", "corpus")}
"""What models call the prompts of queries and of documents in their own files."""
_ROOM = 4
"""Tokens of a window that a passage leaves free: cut out, a text may have a token or two more."""


class LocalModel:
    """A model of sentence-transformers, or a plain transformer with the pooling of its family."""

    def __init__(self, settings: EmbedderSettings) -> None:
        """Finds the model; it is loaded when it is first asked. Raises ``InputError`` if it cannot be found."""
        self._settings = settings
        self._folder = model_folder(settings.model)
        self._family = family_of(settings.model)
        self._prompts = {
            "query": self._prompt("query", settings.query_prompt, self._family.query_prompt),
            "page": self._prompt("page", settings.page_prompt, self._family.page_prompt),
        }
        self._lock = Lock()

    @cached_property
    def fingerprint(self) -> str:
        """Of the model's files, its prompts and its window."""
        settings = self._settings
        return model_fingerprint(
            self._folder, prompts=self._prompts, max_tokens=settings.max_tokens, dtype=settings.dtype
        )

    def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """See :class:`drag_rl.retrieval.dense.embedder.Embedder`."""
        with self._lock:
            try:
                found = self._model.encode(
                    list(texts),
                    prompt=self._prompts[role],
                    batch_size=self._settings.batch_size,
                    show_progress_bar=False,
                    normalize_embeddings=True,
                )
            except RuntimeError as error:  # of a GPU: out of memory, say
                raise InputError(
                    f"--model {self._settings.model}: cannot embed: {_line(error)}; lower --batch-size or --max-tokens"
                ) from error
        vectors_NE = np.asarray(found, dtype=np.float32).reshape(len(texts), -1)
        if not np.isfinite(vectors_NE).all():
            raise InputError(
                f"--model {self._settings.model}: gives vectors that are no numbers; give another --dtype"
            )
        return of_length_one(vectors_NE)

    def cuts(self, text: str, most_tokens: int) -> list[tuple[int, int]]:
        """See :class:`drag_rl.retrieval.dense.embedder.Embedder`."""
        most = min(most_tokens or self._page_tokens, self._page_tokens)
        if len(text.encode()) <= most:  # a token is a byte at least
            return [(0, len(text))] if text else []
        with self._lock:
            tokens = self._model.tokenizer(
                text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
            )
        return even_cuts(text, [begin for begin, _ in tokens["offset_mapping"]], most)

    @cached_property
    def _page_tokens(self) -> int:
        """Tokens that the window has for a passage."""
        with self._lock:
            used = len(self._model.tokenizer(self._prompts["page"])["input_ids"])
            window = int(self._model.max_seq_length)
        if window - used - _ROOM < 1:
            raise InputError(f"--max-tokens {window}: leaves no room for a page; give more")
        return window - used - _ROOM

    @cached_property
    def _model(self) -> Any:
        try:
            import sentence_transformers
        except ImportError as error:
            raise InputError(
                f"--model {self._settings.model}: needs sentence-transformers ({_line(error)}): "
                "pip install 'drag-rl[retrieval]'"
            ) from error
        try:
            model = self._loaded(sentence_transformers)
        except (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError) as error:
            raise InputError(f"--model {self._settings.model}: cannot be loaded: {_line(error)}") from error
        own = model.max_seq_length or LONGEST_WINDOW
        model.max_seq_length = min(own, self._settings.max_tokens or LONGEST_WINDOW)
        return model

    def _loaded(self, library: Any) -> Any:
        settings, folder = self._settings, str(self._folder)
        device = settings.device or library.util.get_device_name()
        dtype = ("float32" if device == "cpu" else "bfloat16") if settings.dtype == "auto" else settings.dtype
        common = {
            "model_kwargs": {"dtype": dtype},
            "processor_kwargs": {"padding_side": "left"} if self._family.left_padding else {},
        }
        if (self._folder / "modules.json").is_file() or self._family == Family(names=""):
            return library.SentenceTransformer(
                folder,
                device=device,
                trust_remote_code=settings.trust_remote_code,
                local_files_only=True,
                **common,
            )
        modules = library.sentence_transformer.modules
        body = modules.Transformer(folder, **common)
        pooling = modules.Pooling(body.get_embedding_dimension(), self._family.pooling)
        return library.SentenceTransformer(modules=[body, pooling], device=device)

    def _prompt(self, role: str, given: str | None, of_family: str) -> str:
        """The text before a text: the given one, or the model's own, or that of its family."""
        if given is not None:
            return given
        known = _own_prompts(self._folder)
        return next((known[name] for name in _PROMPT_NAMES[role] if name in known), of_family)


def _own_prompts(folder: Path) -> dict[str, str]:
    try:
        config = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
        return {name: text for name, text in (config.get("prompts") or {}).items() if isinstance(text, str)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}/config_sentence_transformers.json: cannot be read ({error})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
