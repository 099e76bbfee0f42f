"""What damaged, forged and hostile requests do to a running service."""
