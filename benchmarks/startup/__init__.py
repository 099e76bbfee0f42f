"""From the command to the first request that is taken."""
