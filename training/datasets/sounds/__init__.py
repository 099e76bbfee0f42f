"""Real recordings of many origins and licences, cut to at most 10 s: a folder of one's own."""
