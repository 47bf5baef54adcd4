"""The recipes of docs/use/recipes/, applied to a render as their README says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from helpers.machine import ROOT, need, run
from helpers.service import RenderedTree, go

PAGES = ROOT / "docs" / "use" / "recipes"
RECIPES = sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README")
CALLS = ROOT / "tests" / "helpers" / "grpc_calls"

#: What the pages call the service, and its module.
SERVICE, MODULE = "myservice", "example.com/myservice"


def page(recipe: str) -> str:
    return (PAGES / f"{recipe}.md").read_text()


def new_files(recipe: str) -> dict[str, str]:
    """The files that the page holds in full, by their paths."""
    blocks = re.findall(
        r"^```(?:go|yaml)\n(?://|#) ([\w./-]+\.\w+)\n(.*?)^```$", page(recipe), re.M | re.S
    )
    return dict(blocks)


def changed_files(recipe: str) -> list[str]:
    """The files that the diffs of the page change."""
    return re.findall(r"^\+\+\+ b/(.+)$", page(recipe), re.M)


def packages(recipe: str) -> list[str]:
    """The Go packages that the page touches."""
    files = [*new_files(recipe), *changed_files(recipe)]
    return sorted({f"./{Path(name).parent}" for name in files if name.endswith(".go")})


def commands(text: str, program: str) -> list[str]:
    """The commands in the `sh` blocks of `text` that begin with `program`."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(f"{program} ")]


def apply(tree: RenderedTree, recipe: str, *, ok: bool = True) -> None:
    """Add the page's files and make its changes; the modules are left out.

    Where not `ok`, some of the changes must not fit.
    """
    need("patch")
    module = (go(tree, "list", "-m") or "").strip()
    for name, text in new_files(recipe).items():
        file = tree.file(name.replace(SERVICE, tree.service))
        assert not file.exists(), name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(MODULE, module).replace(SERVICE, tree.service))
    [command] = commands((PAGES / "README.md").read_text(), "sed")
    command = command.replace("RECIPE.md", str(PAGES / f"{recipe}.md"))
    assert run(["bash", "-c", command], tree.path, ok=ok).returncode == (0 if ok else 1)


def add_modules(tree: RenderedTree, *recipes: str) -> None:
    """Run the `go get` of each page, and tidy."""
    for recipe in recipes:
        for command in commands(page(recipe), "go get"):
            go(tree, *shlex.split(command)[1:])
    go(tree, "mod", "tidy")


def add_calls(tree: RenderedTree) -> None:
    """Register a gRPC service of the tests' own, and add a client of it."""
    shutil.copy(CALLS / "waiter.go", tree.main.parent)
    client = tree.file("cmd/client/main.go")
    client.parent.mkdir()
    shutil.copy(CALLS / "client.go", client)
