"""Late interaction: a vector for each part of a page image and for each word of a query (ColPali, ColQwen3-VL)."""

import logging

# Libraries import bitsandbytes, which warns where a kernel of 4-bit weights on the CPU is not there: they are slower.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
