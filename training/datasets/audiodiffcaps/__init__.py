"""AudioDiffCaps: pairs of clips, and how people say one is made of the other (Takeuchi et al.)."""
