"""Structure without weights: names of nodes, the model graph, sets of positions."""
