"""Any `nn.Module` as a model: its forward traced, its submodules nodes, its sums split into writers."""
