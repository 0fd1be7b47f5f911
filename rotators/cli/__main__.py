"""`python -m rotators.cli`."""

from rotators.cli import main

main()
