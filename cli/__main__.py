"""`python -m cli`, for where the script is not installed."""

from cli.main import main

main()
