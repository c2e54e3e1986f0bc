"""The benchmarks: one a module, the budgets of the design beside the figures. `python -m bench --help`."""
