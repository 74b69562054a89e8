"""How commands take their settings: flags and environment, checked all at once. Imports only protocol."""
