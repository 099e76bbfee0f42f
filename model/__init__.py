"""The masking-diff captioner: bytes -> waveform -> log-mel -> encoder -> difference -> caption."""
