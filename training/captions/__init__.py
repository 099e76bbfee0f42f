"""Everything about sentences: the kinds of sound, their words, grammar and tokenizer."""
