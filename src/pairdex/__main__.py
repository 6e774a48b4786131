"""`python -m pairdex` is the command `pairdex`."""

from pairdex.cli import main

main()
