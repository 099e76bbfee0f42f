"""What a stage learns from: one file per kind of sample."""
