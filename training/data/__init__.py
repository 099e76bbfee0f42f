"""What is learned from: recordings, sounds made in code, scenes of them and their captions."""
