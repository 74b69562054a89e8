"""What changes the fleet: one module per use case, each around one named statement."""
