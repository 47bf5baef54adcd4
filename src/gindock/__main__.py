"""Where gindock starts: Ctrl-C has an answer before anything else is imported."""

from gindock import interrupts

interrupts.end_at_once()


def main() -> None:
    """Run the command line."""
    from gindock.cli import main

    main()


def serve_git() -> None:
    """Serve the template's history to git; see `gindock.upstream.remote_helper`."""
    from gindock.upstream.remote_helper import main

    main()


if __name__ == "__main__":
    main()
