#!/usr/bin/env python3
"""
Draws the state machines from their tables into docs/state-machines/, as Mermaid. `--check` only tells whether they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agentd import lifecycle  # noqa: E402 - the path comes first
from protocol.backend_state import BackendStatus  # noqa: E402

FOLDER = ROOT / "docs" / "state-machines"

BACKEND = """\
# The life of a backend, on its drone

Drawn from `agentd.lifecycle.TRANSITIONS` by `tools/draw_state_machines.py`; do not edit. Each arrow says which event
leads on, and what the driver is told to do there. Every arrival is reported; an event without an arrow changes nothing.

```mermaid
stateDiagram-v2
{lines}
```
"""


def draw_backend() -> str:
    """Return the page about `BackendMachine`."""
    lines = [f"    [*] --> {_node(BackendStatus.SCHEDULED)}"]
    for (origin, event), (target, act) in lifecycle.TRANSITIONS.items():
        lines.append(f"    {_node(origin)} --> {_node(target)}: {event.__name__} / {type(act).__name__}")
    lines.append(f"    {_node(BackendStatus.TERMINATED)} --> [*]")
    return BACKEND.format(lines="\n".join(lines))


def _node(status: BackendStatus) -> str:
    return status.replace("-", "_")


PAGES = {"backend.md": draw_backend}


def main(arguments: list[str]) -> int:
    """Write all pages, or with `--check` name those that are not as drawn."""
    stale = []
    for name, draw in PAGES.items():
        page = FOLDER / name
        text = draw()
        if page.exists() and page.read_text() == text:
            continue
        stale.append(str(page.relative_to(ROOT)))
        if "--check" not in arguments:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
    for name in stale:
        print(f"{name} {'is not as the tables say' if '--check' in arguments else 'drawn'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
