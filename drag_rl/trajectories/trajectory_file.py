"""A growing ``trajectories.jsonl``: see :mod:`drag_rl.files.growing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from drag_rl.files.growing import GrowingFile, Key
from drag_rl.protocol import EpisodeConfig
from drag_rl.trajectories.counts import Counts
from drag_rl.trajectories.rows import read_trajectories, write_row
from drag_rl.types import StopReason, Trajectory


class TrajectoryFile(GrowingFile[Trajectory]):
    """An open file of trajectories; make it with :meth:`open`, which also closes it."""

    stage: ClassVar[str] = "collect"
    packages: ClassVar[tuple[str, ...]] = ("openai", "bm25s")
    counts: Counts
    """Over all rows, those of earlier runs included."""

    @staticmethod
    def key(row: Trajectory) -> Key:
        """The question and the sample."""
        return row.outcome.question.question_id, row.sample

    @staticmethod
    def line(row: Trajectory) -> str:
        """The row as the files of trajectories have it."""
        return write_row(row)

    @staticmethod
    def failed(row: Trajectory) -> bool:
        """Whether the episode failed for a server's sake."""
        return row.outcome.stop_reason == StopReason.ERROR

    @staticmethod
    def rows(path: Path) -> Iterator[Trajectory]:
        """The trajectories of a file."""
        return read_trajectories(path)

    def forget(self) -> None:
        """Set the counts to nothing."""
        self.counts = Counts()

    def count(self, row: Trajectory) -> None:
        """Add a trajectory to the counts."""
        self.counts.add(row)

    def counted(self) -> dict[str, int]:
        """The counts by name."""
        return self.counts.by_name()

    @classmethod
    def defaults(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """An option of the episode that older versions lack is at its default."""
        return (
            {"hints": False, "episode": EpisodeConfig().model_dump(mode="json")}
            if "episode" in config
            else {}
        )
