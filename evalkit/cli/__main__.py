"""`python -m evalkit.cli`, for when the script is not on the path."""

from evalkit.cli import main

main()
