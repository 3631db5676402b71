"""What a build tells of itself while it goes on."""

from __future__ import annotations


class BuildProgress:
    """Keeps it to itself; a subclass shows it."""

    def at(self, step: str, pages: int, of: int) -> None:
        """So many pages of ``of`` are through a step; 0 of 0 where a step cannot tell."""

    def taken_over(self, documents: int, of: int) -> None:
        """What the present index knows of so many documents of ``of`` is used again."""
