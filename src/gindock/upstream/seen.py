"""The commits of templates' versions as this machine first saw them, in the user's cache.

A project records its version by a tag, and a tag can be set anew.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path

from gindock.errors import UserError
from gindock.upstream import cache, source
from gindock.upstream.source import Source


def remember(template: Source) -> None:
    """Note the commit of the version of `template`, if it can be had."""
    with suppress(UserError):  # Of what was rendered, nothing depends on this.
        re_pointed(template)


def re_pointed(template: Source) -> list[str]:
    """Say that the version of `template` is another commit than when it was first seen here.

    Raises:
        UserError: the template cannot be reached.

    """
    tag = template.ref
    now = None if template.embedded or not tag else source.commit_of_tag(template.url, tag)
    if tag is None or now is None:
        return []
    first = _first(template.url, tag, now)
    if first == now:
        return []
    then = f"({now[:10]}) than when it was first seen on this machine ({first[:10]})"
    means = "an update may make conflicts of what differs between the two, or take it for yours"
    return [
        f"the template's {tag} is another commit {then}; {means}: ask for a new version instead"
    ]


def _first(url: str, tag: str, now: str) -> str:
    """The commit that `tag` had when it was first seen; that is `now` if it was not seen yet."""
    digest = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()
    file = cache.folder() / f"tags-{digest[:32]}.json"
    kept: dict[str, str] = {}
    # A broken file is made anew, and what cannot be kept is not told another time.
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        kept = found if isinstance(found, dict) else {}
    if tag not in kept:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=file.parent, prefix=".tags-", delete=False
            ) as beside:
                json.dump({**kept, tag: now}, beside)
            Path(beside.name).replace(file)
    return str(kept.get(tag, now))
