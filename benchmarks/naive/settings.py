"""The product's settings and middleware, with a view of its own and a connection to the database for each request."""

from plane_site.settings import *  # noqa: F403 - that is how Django's settings are derived
from plane_site.settings import REST_FRAMEWORK

ROOT_URLCONF = "benchmarks.naive.views"
REST_FRAMEWORK = {**REST_FRAMEWORK, "EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
