"""`plane demo`: every part of Plane on this machine, with a small application to look at."""
