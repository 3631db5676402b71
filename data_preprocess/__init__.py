"""Makers of data: sample documents, and questions whose answering pages are known."""

import drag_rl  # noqa: F401  (first of all: it sees to Ctrl-C, see drag_rl.interrupt)
