"""
`python -m plane_site controller|migrate …`: the control plane's programs. Any other word is a management command.
"""

from __future__ import annotations

import os
import sys

from plane_site.commands import PROGRAMS


def main() -> None:
    """Run one of the programs, or hand on to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plane_site.settings")
    words = sys.argv[1:]
    if words and words[0] in PROGRAMS:
        PROGRAMS[words[0]].main(words[1:], prog_name=f"plane {words[0]}")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
