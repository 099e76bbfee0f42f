"""Many requests at once, without HTTP: what the service and the command line stand on."""
