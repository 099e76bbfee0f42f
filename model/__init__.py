"""What runs: bytes -> waveform -> encoder -> adapter -> difference -> decoder -> tokens."""
