"""`python -m gateway` is the command `gatepost`."""

from gateway.cli import main

main()
