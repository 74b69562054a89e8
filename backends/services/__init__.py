"""What changes sessions: one module per use case, each around one named statement."""
