"""What every command line shares: settings from flags and environment, and how log lines look."""
