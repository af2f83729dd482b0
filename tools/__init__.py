"""What the Makefile runs. Standard library only."""
