"""drag-rl: teach a vision-language model to search documents."""

import sys

from drag_rl import interrupt

__version__ = "0.1.0"

if interrupt.is_ours(sys.orig_argv):  # nobody else's process is touched
    interrupt.install()
