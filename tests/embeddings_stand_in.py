"""An OpenAI-compatible embeddings server whose model adds up a fixed vector for each word."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

import numpy as np

MODEL = "words"
WIDTH = 32


@cache
def of_word(word: str) -> np.ndarray:
    return np.random.default_rng(crc32(word.encode())).normal(size=WIDTH)


def of_text(text: str) -> np.ndarray:
    """The vector of a text, of any length."""
    return sum((of_word(word) for word in re.findall(r"\w+", text.casefold())), start=np.zeros(WIDTH))


def embeddings(request: dict[str, Any]) -> tuple[int, bytes]:
    rows = [{"index": n, "embedding": of_text(text).tolist()} for n, text in enumerate(request["input"])]
    return 200, json.dumps({"data": rows[::-1], "model": request["model"]}).encode()


class EmbeddingsStandIn:
    """Runs from ``with`` to its end; ``say`` answers a request with a status and a body."""

    def __init__(
        self, say: Callable[[dict[str, Any]], tuple[int, bytes]] = embeddings, window: int = 512
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.say = say
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                listed = {"data": [{"id": MODEL, "max_model_len": window}]}
                self.reply(200, json.dumps(listed).encode())

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.requests.append(request)
                self.reply(*stand_in.say(request))

            def reply(self, status: int, body: bytes) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            disable_nagle_algorithm = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def texts(self) -> list[str]:
        """Every text that was asked for."""
        return [text for request in self.requests for text in request["input"]]

    def __enter__(self) -> EmbeddingsStandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
