"""``audiodiff corpus`` against a captioner that is called in-process."""
