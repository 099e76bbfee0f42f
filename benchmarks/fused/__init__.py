"""What more encoders would cost the bundled checkpoint."""
