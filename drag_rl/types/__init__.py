"""The spine: what the layers hand to each other.

Every row is a frozen dataclass whose fields say their unit, base and range. Nothing here imports torch, ray or verl.
Words: a *question* is the user's, a *query* the policy's; a *hit* is a retrieved page; *gold* is what is right.
"""

from drag_rl.types.action import Action, Answer, Enough, Malformed, Search, StopReason
from drag_rl.types.generated import Generated
from drag_rl.types.outcome import Outcome
from drag_rl.types.page import Hit, Page
from drag_rl.types.question import Question
from drag_rl.types.rank import best_rank, query_key, within
from drag_rl.types.trajectory import Generation, Trajectory
from drag_rl.types.turn import Turn

__all__ = [
    "Action",
    "Answer",
    "Enough",
    "Generated",
    "Generation",
    "Hit",
    "Malformed",
    "Outcome",
    "Page",
    "Question",
    "Search",
    "StopReason",
    "Trajectory",
    "Turn",
    "best_rank",
    "query_key",
    "within",
]
