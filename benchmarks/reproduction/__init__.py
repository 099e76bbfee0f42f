"""A dry run of the study on Clotho's recordings."""
