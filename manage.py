"""Run Django's management commands with the controller's settings."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plane_site.settings")
    execute_from_command_line(sys.argv)
