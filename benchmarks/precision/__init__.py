"""What a shorter number format changes in the captions."""
