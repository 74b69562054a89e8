"""
What every test may ask for. The fixtures themselves are in `tests/engines/`.
"""

pytest_plugins = ["tests.engines.databases", "tests.engines.docker_engines", "tests.engines.images"]
