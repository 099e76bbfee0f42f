"""The paper's experiments: rows of its tables, trained on equal terms and compared."""
