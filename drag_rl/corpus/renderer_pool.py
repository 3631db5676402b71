"""Several renderers behind one: as many pages at a time as there are worker processes."""

from __future__ import annotations

from queue import SimpleQueue

from drag_rl.corpus.render_request import Request
from drag_rl.corpus.renderer import Renderer, RenderLimits


class RendererPool(Renderer):
    """Renders for several threads at once; its processes are started when they are first needed."""

    def __init__(self, processes: int, limits: RenderLimits | None = None) -> None:
        super().__init__(limits)
        self._all = [Renderer(limits) for _ in range(processes)]
        self._idle: SimpleQueue[Renderer] = SimpleQueue()
        for renderer in self._all:
            self._idle.put(renderer)

    def render(self, request: Request) -> None:
        """See :class:`Renderer`; waits for one that is idle."""
        renderer = self._idle.get()
        try:
            renderer.render(request)
        finally:
            self._idle.put(renderer)

    def stop(self) -> None:
        """End all workers; the next requests start others. No thread may be rendering."""
        for renderer in self._all:
            renderer.stop()
