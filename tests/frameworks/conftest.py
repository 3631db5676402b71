"""The examples for other frameworks run in an environment of their own: theirs bring pytest plugins of many kinds."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("langchain_core") else ["test_*.py"]
"""``scripts/test.sh`` makes that environment, and runs these tests in it."""
