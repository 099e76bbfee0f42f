"""Our search against Transformers' generate."""
