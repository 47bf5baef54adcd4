"""What an image is tagged with and pushed for, in shells as small as those of pipelines."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.linters import (
    Command,
)
from helpers.machine import git, make, need, run
from helpers.pipelines import (
    DIGEST,
    OUTSIDE_CI,
    Repository,
    push_job,
    rendered,
)


@pytest.fixture(scope="module", params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH on which `sh` is a small shell, as in the images of pipelines."""
    need(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    binary = shutil.which(request.param)
    assert binary
    for name in {"dash": ["sh"], "busybox": ["sh", "grep", "head"]}[request.param]:
        (folder / name).symlink_to(binary)
    return f"{folder}:{os.environ['PATH']}"


def test_a_release_is_tagged_by_its_version_anything_else_by_its_commit(
    tmp_path: Path, shell: str
) -> None:
    repository = Repository(tmp_path / "project", path=shell)
    for tags, expected in [
        ([], None),
        (["v1.2.3"], ["v1.2.3", "1.2"]),
        (["v1.2.4-rc.1"], ["v1.2.4-rc.1"]),
        # The highest of several, as numbers; a release before all candidates.
        (["v1.3.0-rc.9", "v1.3.0-rc.10"], ["v1.3.0-rc.10"]),
        (["v1.9.9", "v1.10.0", "v1.11.0-rc.1"], ["v1.10.0", "1.10"]),
        (["v2.0.0", "v2.0.0-rc.3"], ["v2.0.0", "2.0"]),
        # No versions, or none of ours.
        (["v3", "v3.1", "3.1.0", "v3.1.0.0", "va.b.c", "v3.1.0+meta", "v03.1.0"], None),
        (["v3.1.0-rc", "v3.1.0-rc.01", "v3.1.0-beta.1", "v3.1.0-rc.1.2", "xv3.1.0"], None),
    ]:
        commit = repository.commit(str(tags), *tags)
        assert repository.tags() == (expected or [commit])
    assert not any("latest" in text for text in repository.tags())


def test_an_older_release_does_not_take_its_minor_back(tmp_path: Path, shell: str) -> None:
    repository = Repository(tmp_path / "project", path=shell)
    repository.commit("newer", "v1.2.10", "v1.20.0", "v1.3.0-rc.1")
    repository.commit("older", "v1.2.9")
    assert repository.tags() == ["v1.2.9"]
    repository.commit("newest", "v1.2.11")
    assert repository.tags() == ["v1.2.11", "1.2"]
    # A candidate is not later than a release; nor is a tag that only looks like one.
    repository.commit("more", "v1.2.12-rc.1", "v1.2.99-beta", "v1.2.x")
    git(repository.folder, "checkout", "--quiet", "v1.2.11")
    assert repository.tags() == ["v1.2.11", "1.2"]


def test_a_changed_work_tree_has_one_tag_and_is_not_pushed(tmp_path: Path, shell: str) -> None:
    repository = Repository(tmp_path / "project", path=shell)
    commit = repository.commit("not a release")
    (repository.folder / "new.go").touch()
    assert repository.tags() == [f"{commit}-dirty"]
    git(repository.folder, "tag", "v1.2.3")
    assert repository.tags() == ["v1.2.3-dirty"]
    push: Command = ["make", "push"]
    env = OUTSIDE_CI | {"PATH": shell}
    for folder in (repository.folder, shutil.copytree(rendered("github"), tmp_path / "no-git")):
        done = run(push, folder, env, ok=False)
        assert done.returncode
        assert "what is pushed must be a commit: see git status" in done.stdout
        assert "buildx" not in done.stdout
    assert make(tmp_path / "no-git", "--dry-run", "image").endswith("/myservice:commit-none .\n")

    (repository.folder / "new.go").unlink()
    assert repository.tags() == ["v1.2.3", "1.2"]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_pipeline_pushes_what_it_is_for(tmp_path: Path, ci: str) -> None:
    repository = Repository(tmp_path / "project", ci)
    commit = repository.commit("all at once", "v1.2.3", "v1.2.3-rc.1", "v1.2")

    def tags(tag: str | None) -> list[str]:
        if ci == "gitlab":
            return repository.tags(GITLAB_CI="true", **({"CI_COMMIT_TAG": tag} if tag else {}))
        kind, name = ("tag", tag) if tag else ("branch", "main")
        return repository.tags(GITHUB_REF_TYPE=kind, GITHUB_REF_NAME=name)

    # The pipelines of a branch and of its tags run at the same time: no two push the same tag.
    assert tags(None) == [commit]
    assert tags("v1.2.3") == ["v1.2.3", "1.2"]
    assert tags("v1.2.3-rc.1") == ["v1.2.3-rc.1"]
    assert tags("v1.2") == [commit]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_pipeline_fetches_the_releases_that_it_compares(tmp_path: Path, ci: str) -> None:
    repository = Repository(tmp_path / "project", ci)
    repository.commit("newer", "v1.2.4")
    repository.commit("older", "v1.2.3")
    job = push_job(ci, rendered(ci))
    if ci == "github":
        [checkout] = [step for step in job["steps"] if "/checkout@" in step.get("uses", "")]
        depth = checkout["with"]["fetch-depth"]
        env = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2.3"}
    else:
        depth = int(job["variables"]["GIT_DEPTH"])
        env = {"GITLAB_CI": "true", "CI_COMMIT_TAG": "v1.2.3"}
    # Without a depth, both fetch all branches and tags.
    assert depth == 0

    def clone(*options: str) -> list[str]:
        target = tmp_path / f"clone{len(options)}"
        address = repository.folder.as_uri()
        git(tmp_path, "clone", "--quiet", *options, address, str(target))
        return run(["sh", "scripts/tags.sh"], target, OUTSIDE_CI | env).stdout.split()

    assert clone() == ["v1.2.3"]
    # What both fetch by default would take the minor back.
    assert clone("--depth=1", "--branch=v1.2.3") == ["v1.2.3", "1.2"]


def test_what_was_pushed_is_known_by_its_digest(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit("release", "v1.2.3")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    docker = bin_ / "docker"
    # As buildx writes it, an image's own description beside the digest.
    metadata = {
        "buildx.build.provenance/linux/amd64": {
            "materials": [{"digest": {"sha256": "beef" * 16}}],
            "containerimage.digest": "sha256:" + "beef" * 16,
        },
        "containerimage.descriptor": {"digest": DIGEST},
        "containerimage.digest": DIGEST,
        "image.name": "ghcr.io/acme/myservice:v1.2.3,ghcr.io/acme/myservice:1.2",
    }
    written = shlex.quote(json.dumps(metadata, indent=2))
    docker.write_text(
        "#!/bin/sh\n"
        'echo "$*" >>told\n'
        'while [ "$1" != --metadata-file ]; do shift; done\n'
        f'printf %s {written} >"$2"\n'
    )
    docker.chmod(0o755)
    path = f"{bin_}:{os.environ['PATH']}"

    repository.run(["make", "push"], PATH=path)
    pushed = (repository.folder / ".push.env").read_text().split()
    assert pushed == [f"DIGEST={DIGEST}", "VERSION=v1.2.3"]
    (repository.folder / "told").unlink()
    # The files that it leaves are no change.
    assert repository.tags() == ["v1.2.3", "1.2"]

    docker.write_text("#!/bin/sh\necho '{}' >.push.json\n")
    assert run(["make", "push"], repository.folder, {"PATH": path}, ok=False).returncode


def test_an_image_is_pushed_for_both_platforms_with_what_it_is_made_of(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit("release", "v1.2.3")
    told = repository.run(["make", "--dry-run", "push"])
    for option in [
        "--platform linux/amd64,linux/arm64",
        "--sbom=true",
        "--provenance=mode=max",
        "--push",
    ]:
        assert option in told
    tagged = re.findall(r"--tag (\S+)", told)
    assert tagged == ["ghcr.io/acme/myservice:v1.2.3", "ghcr.io/acme/myservice:1.2"]
