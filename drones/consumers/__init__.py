"""Control sockets: where drones and proxies speak with a controller. Edges: they translate and call services."""
