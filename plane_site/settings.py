"""
Django's settings, from the environment that `plane controller` and `manage.py` share. See `plane_site.env`.
"""

from __future__ import annotations

import secrets
from typing import Any

from plane_site import env

_environ = env.environment()

# The controller sets the one that the database keeps. A command without it signs nothing that must last.
SECRET_KEY = env.read_variable(_environ, env.SECRET_KEY) or secrets.token_urlsafe(48)
DEBUG = False
# The control routes and the admin check Host before Django does (`plane_site.authentication`), and by other rules.
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "plane_site.urls"
APPEND_SLASH = False
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "channels",
    "drones",
    "backends",
]
_dsn = env.read_variable(_environ, env.DATABASE)
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.describe_database(_dsn, pooled=bool(_environ.get(env.POOLED, ""))),
}
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# The admin's files come straight from the packages that bring them: there is no collectstatic step.
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# Behind a proxy that ends TLS the admin's own origin is the one that browsers see, not the one that is served here.
_origin = env.origin_of(_environ.get(env.CONTROLLER_URL, ""))
CSRF_TRUSTED_ORIGINS = [_origin] if _origin else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _origin.startswith("https://")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

REST_FRAMEWORK = {
    # Control routes know no cookies and no sessions.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "backends.api.negotiation.JsonForAll",
    "EXCEPTION_HANDLER": "backends.api.views.handle_exception",
    "UNAUTHENTICATED_USER": None,
}

# `plane_site.logs` sets up all logging of the controller; commands print.
LOGGING_CONFIG = None
