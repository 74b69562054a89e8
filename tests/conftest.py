"""
What every test may ask for. The fixtures themselves are in `tests/engines/`.
"""

pytest_plugins = [
    "tests.engines.browsers",
    "tests.engines.databases",
    "tests.engines.docker_engines",
    "tests.engines.images",
    "tests.engines.wall_clocks",
]
