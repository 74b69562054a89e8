"""
Every test, and what the tests share.
"""
