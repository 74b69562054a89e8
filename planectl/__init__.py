"""The `plane` command, and the Python client of a controller's HTTP API. Knows no Django and imports no daemon."""
