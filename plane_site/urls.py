"""
Django's own routes: the admin, and the API routes that are not hot.
"""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

admin.site.site_header = admin.site.site_title = "Plane"
#: Nothing is served at `/`, so no page links to it.
admin.site.site_url = None

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("ctrl/", include("backends.api.urls")),
]
