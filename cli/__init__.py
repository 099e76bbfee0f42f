"""What the commands of ``audiodiff`` do; their parser is ``cli/main.py``."""
