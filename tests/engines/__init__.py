"""
The real parts that tests meet: Postgres servers, Docker engines, images. `tests/conftest.py` makes the fixtures known.
"""
