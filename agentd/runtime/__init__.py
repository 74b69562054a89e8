"""Ways to run a backend: each runtime does what `interface` says."""
