"""The wire: every name, message and body that parts of Plane say to each other. Pure; imports nothing of ours."""
