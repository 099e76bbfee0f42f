"""What the encoders take."""
