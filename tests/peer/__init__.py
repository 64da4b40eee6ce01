"""PyTorch's own database of operators, run against tessel: `python -m tests.peer` prints the score sheet."""
