"""
The exceptions by which pure modules refuse what a peer sent. They carry the status of the answer, and no input.
"""

from __future__ import annotations


class Refused(Exception):
    """A message that breaks a rule; `status` is what its sender is told."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
