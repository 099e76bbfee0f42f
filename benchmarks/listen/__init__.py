"""A stream against its own background: what is told of it, how late, and at what cost."""
