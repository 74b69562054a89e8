"""Connect as one would write it first: the peer of `benchmarks.connect`. Served by Daphne."""
