"""How the checkpoint comes to be: data, recipes, the training loop, evaluation."""
