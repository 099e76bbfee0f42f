"""What the commands of ``audiodiff`` do; their parser is ``audiodiff.py``."""
