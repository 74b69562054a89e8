"""Composition: settings, URLs, sockets, and the process that serves them."""
