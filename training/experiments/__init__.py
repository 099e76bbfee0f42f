"""The papers' experiments: rows of their tables, trained on equal terms and compared."""
