"""``python -m minicnn`` is ``minicnn``: the commands are in :mod:`minicnn.cli`."""

from .cli import main

if __name__ == "__main__":
    main()
