"""Notices that nothing moves any more: an agent-loop worker or an inference engine that has died reports nothing."""

from __future__ import annotations

import time
from collections.abc import Callable


class StallTimer:
    """Looks at a state again and again, and raises once it has been the same for too long."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``limit_s``: seconds without a change that are too long."""
        self.limit_s, self.clock = limit_s, clock
        self.restart()

    def restart(self) -> None:
        """Forget what was seen; the time begins anew."""
        self._seen: object = None
        self._since = self.clock()

    def look(self, state: object) -> None:
        """Compare with the last look. Raises RuntimeError with the state where it has not changed for ``limit_s``."""
        if state != self._seen:
            self._seen, self._since = state, self.clock()
        elif self.clock() - self._since > self.limit_s:
            raise RuntimeError(
                f"no rollout moved for {self.limit_s:g} s: an agent-loop worker or the inference engine is dead or "
                f"stuck; state: {state}"
            )
