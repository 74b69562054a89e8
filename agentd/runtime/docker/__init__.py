"""Backends as containers of a Docker engine."""
