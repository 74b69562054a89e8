"""
Every process started as a user would, and watched from outside: over HTTP, over WebSockets, through the engine.
"""
