"""What a policy of its own kind can be told: typed settings, of which one may be a threshold that ``drag tune`` finds.

A policy names the class of its settings, gets an instance of it, and needs nothing else; the command line's
``--policy-options threshold=0.4`` (or a file of them) is checked against it::

    class AskAgainSettings(PolicySettings):
        tunable: ClassVar[str] = "threshold"

        threshold: float = Field(default=0.5, ge=0, le=1)  # share of the question's words that were shown


    class AskAgain(LocalPolicy):
        settings_type: ClassVar[type[PolicySettings]] = AskAgainSettings
        settings: AskAgainSettings
"""

from __future__ import annotations

from typing import ClassVar

from drag_rl.config import Config


class PolicySettings(Config):
    """The settings of a policy that has none; a subclass has a field for each, with its unit and range."""

    tunable: ClassVar[str] = ""
    """The field, a number, that decides how often the policy searches; empty where there is none to tune."""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Between which values of that field ``drag tune`` looks. The mean number of searches must rise, or fall, all the
    way from the one to the other."""
    stops_only: ClassVar[bool] = False
    """Whether that field decides nothing but when the policy stops: before the first message whose ``Reply.signal`` is
    greater than it, and at the upper bound never. One run at the upper bound then tells what any other value does."""
