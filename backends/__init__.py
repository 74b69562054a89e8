"""The sessions: what runs on the fleet, and who may reach it."""
