"""What Copier, and git under it, say of a failure, as an error that tells the next step."""

from __future__ import annotations

import re

from gindock.errors import NoSuchVersionError, RefusedAnswerError, UserError
from gindock.upstream import cache

_REFUSED = re.compile(
    r"\A(?:Validation error for question|Invalid choice for|Question) "
    r"['\"](?P<key>\w+)['\"]:?\s*(?P<reason>.*)",
    re.DOTALL,
)


def of_copier(error: Exception) -> UserError:
    """What Copier says of a template or an answer."""
    text = " ".join(str(error).split())
    if refused := _REFUSED.match(text):
        return RefusedAnswerError(refused["key"], refused["reason"])
    if unknown := re.match(r"Unknown revision: '(.*)'", text):
        return _no_version(unknown[1])
    return RefusedAnswerError("", text or type(error).__name__)


def of_git(stderr: str | bytes, exit_code: object, *, own: bool) -> UserError:
    """What git says when it fetches a template; `own` tells that it is gindock's."""
    lines = [line.strip() for line in str(stderr).splitlines() if line.strip()]
    words = next((each for each in lines if each.startswith(("fatal:", "error:", "gindock:"))), "")
    if unknown := re.search(r"invalid reference: (.*)", words):
        return _no_version(unknown[1])
    ours = next((each for each in lines if each.startswith("gindock: ")), "")
    if ours:
        return UserError(ours.removeprefix("gindock: "))
    said = words or " ".join(lines[-1:]) or f"exit code {exit_code}"
    hint = (
        f"try again, or remove {cache.folder()}, which is made anew"
        if own
        else "check its address, in a project _src_path in its answers file"
    )
    return UserError(f"git could not fetch the template ({said}); {hint}")


def _no_version(ref: str) -> UserError:
    return NoSuchVersionError(f"the template has no version '{ref}'; see its tags")
