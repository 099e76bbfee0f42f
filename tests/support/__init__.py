"""What tests of several folders share: fakes, files, and services to talk to."""
