"""Ask the registries for every image that a render names, for amd64 and arm64.

    make images-exist                     the images of every combination of answers
    make images-exist ARGS="alpine:3.24"  these images alone

The exit code is 0 where every image exists for both platforms, 1 where one does not, and 2 where
none is known to be missing, but a registry could not be asked.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import yaml
from helpers.all_renders import all_renders

from tools.registries import NotCheckedError, UnknownImageError, platforms

PLATFORMS = ("linux/amd64", "linux/arm64")

EXISTS, MISSING, NOT_CHECKED = "exists", "MISSING", "not checked"


@dataclass(frozen=True)
class Finding:
    """What is known of an image."""

    image: str
    verdict: str
    why: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.verdict:<12} {self.image}{self.why and ': '}{self.why}"


def check(image: str) -> Finding:
    """Ask the registry of an image for it."""
    try:
        found = platforms(image)
    except UnknownImageError as e:
        return Finding(image, MISSING, str(e))
    except NotCheckedError as e:
        return Finding(image, NOT_CHECKED, str(e))
    missing = [platform for platform in PLATFORMS if platform not in found]
    if missing:
        return Finding(image, MISSING, f"not for {' and '.join(missing)}")
    return Finding(image, EXISTS)


def images_in(path: str, text: str) -> Iterator[str]:
    """The images that a rendered file names."""
    if path.endswith("Dockerfile"):
        yield from re.findall(r"^# syntax=(\S+)$", text, re.MULTILINE)
        yield from re.findall(r"^ARG \w+_IMAGE=(\S+)$", text, re.MULTILINE)
        froms = re.findall(r"^FROM (?:--\S+ )*(\S+)(?: AS (\S+))?$", text, re.MULTILINE)
        stages = {stage for _, stage in froms}
        yield from (image for image, _ in froms if "$" not in image and image not in stages)
    elif path.endswith((".yaml", ".yml")):
        for document in yaml.load_all(text, yaml.CSafeLoader):
            yield from _images(document)


def _images(node: Any) -> Iterator[str]:
    """What stands where Compose, Kubernetes, GitHub and GitLab name an image."""
    if isinstance(node, list):
        for entry in node:
            yield from _images(entry)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "image":
                yield value["name"] if isinstance(value, dict) else value
            elif key == "services" and isinstance(value, list):
                yield from (e["name"] if isinstance(e, dict) else e for e in value)
            elif key == "uses" and value.startswith("docker://"):
                yield value.removeprefix("docker://")
            else:
                yield from _images(value)


def rendered_images() -> tuple[set[str], set[str]]:
    """The images that any combination of answers names, and those that are its own."""
    found: dict[str, set[str]] = {}
    own: set[str] = set()
    for rendered in all_renders():
        own |= set(re.findall(r"^IMAGE := (\S+)$", rendered.read("Makefile"), re.MULTILINE))
        for path, digest in rendered.files.items():
            if digest not in found:
                found[digest] = {*images_in(path, rendered.read(path))}
    images = set().union(*found.values())
    # With a version that Compose fills in, or a digest that a deployment does.
    return {image for image in images if not image.startswith((*own,))}, own


def report(images: Iterable[str]) -> int:
    """Check images, print what is known of each, and return the exit code."""
    with ThreadPoolExecutor(8) as pool:
        findings = [*pool.map(check, sorted(images))]
    print(*findings, sep="\n")
    verdicts = [finding.verdict for finding in findings]
    print(", ".join(f"{verdicts.count(v)} {v}" for v in (EXISTS, MISSING, NOT_CHECKED)))
    return 1 if MISSING in verdicts else 2 if NOT_CHECKED in verdicts else 0


def main() -> None:
    """Check the images that are named, or all that are rendered."""
    parser = argparse.ArgumentParser(
        prog="make images-exist ARGS=…", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("image", nargs="*", help="an image; without any, all that are rendered")
    images, own = {*parser.parse_args().image}, set[str]()
    if not images:
        images, own = rendered_images()
    for image in sorted(own):
        print(Finding(image, "left out", "the service's own"))
    sys.exit(report(images))


if __name__ == "__main__":
    main()
