"""`python -m aiflow`: the command line."""

from aiflow.cli import main

if __name__ == "__main__":
    main()
