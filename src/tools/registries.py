"""Ask registries which platforms an image is for, by the OCI distribution specification."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

#: A manifest for several platforms, and one for a single platform, as OCI and as Docker call them.
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

#: How a registry says that there is no such image, or none for everybody. A proxy's 404 or 403 has
#: no such words.
REFUSALS = {
    404: {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"},
    403: {"DENIED", "UNAUTHORIZED"},
    401: {"DENIED", "UNAUTHORIZED"},
}

SECONDS = 30


class UnknownImageError(Exception):
    """A registry knows no such image, or shows it to nobody without a login."""


class NotCheckedError(Exception):
    """A registry gave no answer that says whether the image exists."""


@dataclass(frozen=True)
class Reference:
    """An image, as `docker pull` takes it, and where it is."""

    host: str
    name: str
    #: A tag or a digest.
    version: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take a reference apart; what it leaves out is Docker Hub's, as for Docker."""
        host, slash, rest = text.partition("/")
        if not slash or not re.search(r"[.:]|\Alocalhost\Z", host):
            host, rest = "docker.io", text if slash else f"library/{text}"
        if "@" in rest:
            name, _, version = rest.partition("@")
            return cls(host, name.partition(":")[0], version)
        name, _, version = rest.partition(":")
        return cls(host, name, version or "latest")

    def url(self, path: str) -> str:
        """The address of something of this image; on loopback without TLS, as for Docker."""
        host = "registry-1.docker.io" if self.host == "docker.io" else self.host
        local = re.match(r"(localhost|127\.0\.0\.1)(:|\Z)", host)
        return f"{'http' if local else 'https'}://{host}/v2/{self.name}/{path}"


def platforms(text: str) -> set[str]:
    """The platforms that the image `text` is for, as linux/amd64.

    Raises:
        UnknownImageError: there is no such image.
        NotCheckedError: the registry could not be asked.

    """
    reference = Reference.parse(text)
    session = _Session(reference)
    manifest = session.get(f"manifests/{reference.version}", *INDEXES, *MANIFESTS)
    try:
        if "manifests" in manifest:
            return {_platform(entry.get("platform", {})) for entry in manifest["manifests"]}
        return {_platform(session.get(f"blobs/{manifest['config']['digest']}", "*/*"))}
    except (KeyError, TypeError, AttributeError) as e:
        raise NotCheckedError("the registry did not answer with a manifest") from e


def _platform(described: dict[str, Any]) -> str:
    return f"{described.get('os')}/{described.get('architecture')}"


class _Session:
    """Requests for one image, with the token that its registry gives to anybody."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.token = ""

    def get(self, path: str, *accepted: str) -> dict[str, Any]:
        """What the registry has at a path, which is JSON."""
        request = urllib.request.Request(
            self.reference.url(path), headers={"Accept": ", ".join(accepted)}
        )
        if self.token:
            # Not for where a registry redirects to, which has a login of its own in the address.
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return _json(request)
        except urllib.error.HTTPError as e:
            challenge = e.headers.get("WWW-Authenticate", "")
            if e.code == 401 and not self.token and challenge.startswith("Bearer "):
                self.token = _token(challenge)
                return self.get(path, *accepted)
            raise _meant(e) from e


def _token(challenge: str) -> str:
    """Fetch the token that a registry asks for."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({k: asked[k] for k in ("service", "scope") if k in asked})
    try:
        given = _json(urllib.request.Request(f"{asked.get('realm')}?{query}"))
    except urllib.error.HTTPError as e:
        raise _meant(e) from e
    return str(given.get("token") or given.get("access_token") or "")


def _json(request: urllib.request.Request) -> dict[str, Any]:
    if not re.match(r"https?://", request.full_url):
        raise NotCheckedError(f"the registry names {request.full_url}, which is no web address")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            found = json.loads(answer.read())
    except urllib.error.HTTPError:
        raise
    except (OSError, HTTPException) as e:
        raise NotCheckedError(str(getattr(e, "reason", e))) from e
    except ValueError as e:
        raise NotCheckedError("the registry did not answer in JSON") from e
    if not isinstance(found, dict):
        raise NotCheckedError("the registry did not answer with an object")
    return found


def _meant(error: urllib.error.HTTPError) -> UnknownImageError | NotCheckedError:
    """What an error of a registry says of the image."""
    try:
        codes = {entry["code"] for entry in json.loads(error.read())["errors"]}
    except (ValueError, TypeError, KeyError, OSError):
        codes = set()
    if not codes & REFUSALS.get(error.code, set()):
        return NotCheckedError(f"the registry answered {error.code}")
    return UnknownImageError(
        "no such image" if error.code == 404 else "no such image, or none that everybody may pull"
    )
