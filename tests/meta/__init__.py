"""
Tests of the source itself: sizes, names, places, strangers. `make check` runs them.
"""
