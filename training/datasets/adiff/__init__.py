"""ADIFF's published answers: explanations that a language model wrote of two captions."""
