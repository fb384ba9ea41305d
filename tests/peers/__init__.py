"""nodescan timed against other systems on the same slide, the same cores and the same network."""
