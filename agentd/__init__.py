"""The drone agent: runs backends on one machine, reports what they do, keeps their leases."""
