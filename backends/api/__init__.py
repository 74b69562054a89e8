"""The HTTP edge of the sessions: hot routes as plain ASGI callables, cold ones through DRF."""
