"""Tag every release that has no tag yet; run by the release workflow."""

from __future__ import annotations

from pathlib import Path

from gindock.gitio.command import git, line
from gindock.upstream import history


def main() -> None:
    """Tag the releases of the checkout in the current folder, and say which."""
    checkout = Path.cwd()
    for release in history.releases(checkout):
        # Git says by 1 that there is no such tag.
        ask = ("rev-parse", "--verify", "--quiet", f"refs/tags/{release.tag}")
        if line(*ask, folder=checkout, accept=(0, 1)) is None:
            git("tag", release.tag, release.commit, folder=checkout)
            print(f"{release.tag} {release.commit}")


if __name__ == "__main__":
    main()
