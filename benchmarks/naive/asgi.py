"""What Daphne serves: `benchmarks.naive.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.naive.settings"
application = get_asgi_application()
