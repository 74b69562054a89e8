"""
Django's own routes: the admin, and the API routes that are not hot.
"""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("ctrl/", include("backends.api.urls")),
]
