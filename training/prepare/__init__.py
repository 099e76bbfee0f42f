"""Clotho and ESC-50 as their makers publish them: fetched, unpacked, and checked to be whole.

What is fetched waits in ``ROOT/.downloads`` until it is in its place, so that a run goes on where
the last one stopped. What is in its place is checked and never replaced.
"""
