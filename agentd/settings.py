"""
What the agent is told when it starts, already checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agentd.driver import DriverPacing
from agentd.reporter import ReportPacing
from options.types import ControllerAddress


@dataclass(frozen=True)
class StopPacing:
    """How long backends have when the agent ends, in seconds; together less than ten."""

    soft: float = 6.0
    hard: float = 2.0
    flush: float = 1.0  #: for the last reports to be acknowledged


@dataclass(frozen=True)
class AgentSettings:
    """One agent's settings, whatever its runtime."""

    controller: ControllerAddress
    cluster: str
    name: str
    is_name_given: bool = True  #: or drawn; then a journal that has another keeps it
    pool: str = ""
    journal: Path | None = None  #: None: in memory
    heartbeat: float = 7.0  #: seconds
    sample_every: float = 10.0
    driving: DriverPacing = field(default_factory=DriverPacing)
    reporting: ReportPacing = field(default_factory=ReportPacing)
    stopping: StopPacing = field(default_factory=StopPacing)
