"""How input and reference are made from recordings: Algorithm 1 and its five conditions."""
