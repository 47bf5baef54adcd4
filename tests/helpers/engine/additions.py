"""What a team adds to a render, and what must not leave its machine."""

from __future__ import annotations

from pathlib import Path

from helpers.service import substitute_once
from helpers.update_cases import write

#: Packages beside `internal`, one of which embeds a folder.
ADDED = {
    "pkg/names/names.go": 'package names\n\n// Title comes before a name.\nconst Title = "Dr "\n',
    "web/web.go": (
        "// Package web holds pages.\npackage web\n\n"
        'import _ "embed"\n\n//go:embed pages/index.html\nvar Index string\n'
    ),
    "web/pages/index.html": "from a page, ",
}

SECRETS = (
    ".env",
    ".env.production",
    ".git/config",
    ".secrets/database_url",
    ".push.env",
    ".deploy.x/kustomization.yaml",
    "deploy/kubernetes/overlays/dev/.secrets/database_url",
    "internal/.env",
    "service-account.json",
    "tls.pem",
)

GREETING = '"Hello, "'
#: What the example greets with, once it uses what was added.
GREETS = "from a page, Dr Ada!"


def add_packages(source: Path) -> None:
    """Let the API of a render use packages in new top-level folders."""
    write(source, ADDED)
    api = source / "internal/api/api.go"
    substitute_once(api, GREETING, "web.Index + names.Title")
    module = "github.com/acme/myservice"
    substitute_once(api, r"^import \($", f'import (\n\t"{module}/pkg/names"\n\t"{module}/web"')


def add_secrets(source: Path) -> None:
    """Put files into a render that are nobody else's business."""
    write(source, dict.fromkeys(SECRETS, "hunter2"))
