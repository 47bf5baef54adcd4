"""Run gindock as `python -m gindock`."""

from gindock.cli import main

if __name__ == "__main__":
    main()
