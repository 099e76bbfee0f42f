"""One folder per data set: how it is prepared (downloaded, checked) and read."""
