"""Clotho v2.1: recordings with five human captions each (Drossos et al. 2020)."""
