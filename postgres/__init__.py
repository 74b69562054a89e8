"""
Postgres beyond the ORM: the pool and the statements of the hot paths, the doorbell, and a private server. No Django.
"""
