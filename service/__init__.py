"""The REST service around a captioner."""
