"""Recordings, sounds made in code, and how they are laid out and mixed."""
