"""
How long a node's socket may be silent, and how often one looks at the tables without being rung for. Pure.

Whether a drone gets work, or is lost, is decided in the statements that give it work or give it up.
"""

from __future__ import annotations

from drones.terms import Terms


def silence_limit(terms: Terms) -> float:
    """Return after how many seconds of silence a drone's socket is taken for dead: when the drone is unhealthy."""
    return terms.unhealthy.total_seconds()


def scan_interval(terms: Terms) -> float:
    """Return seconds between looks at the tables that need no ring: 5, less when everything is shortened for tests."""
    return min(5.0, terms.renew.total_seconds() / 6)
