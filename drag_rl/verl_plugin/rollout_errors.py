"""How a rollout that fails ends the run: verl would go on with what is left of the batch, and not say why.

The agent loop runs in a worker, the replay buffer beside the trainer; the cause travels in the queue between them.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from uuid import uuid4

import transfer_queue as tq

ERROR_PARTITION = "drag_errors"
"""TransferQueue partition of the causes, each in the tag ``error``."""
MAX_CAUSE_CHARS = 2000


async def report(error: Exception, uid: str | None, session: int) -> None:
    """Leave the cause of a failed rollout in the queue."""
    key = f"{uid or uuid4().hex}_{session}"
    await tq.async_kv_put(key=key, partition_id=ERROR_PARTITION, tag={"error": cause(error)})


def raise_reported(failed: Mapping[str, Iterable[str]]) -> None:
    """Raise RuntimeError with the causes if a group has failed. ``failed``: queue partition -> its failed groups."""
    groups = {uid for uids in failed.values() for uid in uids}
    if groups:
        errors = (tq.kv_list(ERROR_PARTITION) or {}).get(ERROR_PARTITION, {})
        causes = sorted({str(tag.get("error")) for tag in errors.values()}) or ["see the log above"]
        raise RuntimeError(f"{len(groups)} rollout group(s) failed: {'; '.join(causes)[:MAX_CAUSE_CHARS]}")


def cause(error: Exception) -> str:
    """What went wrong, in one line, and where if the exception says nothing itself."""
    said = " ".join(str(error).split())
    if not said and (frames := traceback.extract_tb(error.__traceback__)):
        said = f"raised by {frames[-1].name} ({frames[-1].filename}:{frames[-1].lineno}), without a message"
    return f"{type(error).__name__}: {said}"
