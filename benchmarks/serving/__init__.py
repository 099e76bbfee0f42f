"""This service against other servers, on the same checkpoint and the same requests."""
