"""EfficientAT's mn04_as, the teacher: a published tagger of AudioSet's kinds."""
