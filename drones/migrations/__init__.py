"""Migrations of the fleet."""
