"""Where connections to servers live: they outlive any caller's event loop."""

from __future__ import annotations

from drag_rl.retrieval.background import BackgroundLoop

CONNECTIONS = BackgroundLoop("drag-rl http")
