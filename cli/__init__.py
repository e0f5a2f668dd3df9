"""The command line: one module per command group. It parses and prints, and decides nothing."""
