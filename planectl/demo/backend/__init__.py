"""The demo's application: one shared page. Runs as a backend, in a container or as a process."""
