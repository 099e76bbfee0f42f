"""What it takes from the bytes of a file to its log-mel spectrogram."""
