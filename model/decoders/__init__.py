"""Decoders: memory -> tokens, for training and for search. One file each."""
