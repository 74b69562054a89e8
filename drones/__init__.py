"""The fleet: controllers, nodes, drones, certificate leases."""
