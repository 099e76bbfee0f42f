"""The contestants, each in a process of its own."""
