"""Tests of the project; what they share lies in ``tests/support``."""
