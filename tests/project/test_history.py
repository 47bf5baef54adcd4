"""The template's history: the same from every kind of clone, and refused where it is cut short."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers import releases
from helpers.machine import ROOT, run

from gindock.errors import UserError
from gindock.upstream import history


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository with two releases and unreleased work around them."""
    folder = tmp_path / "checkout"
    (folder / "template").mkdir(parents=True)
    run(["git", "init", "-q", "."], folder)
    for version, text in (
        ("0.0.0", "draft"),
        ("0.1.0", "one"),
        ("0.1.0", "one, mended"),
        ("0.2.0", "two"),
        ("0.2.0", "unreleased"),
    ):
        (folder / "template" / "file.txt").write_text(text)
        (folder / "template" / f'only in {version} "quoted" ü').write_text(text)
        (folder / "template" / "run").write_text("#!/bin/sh\n")
        (folder / "template" / "run").chmod(0o755)
        if not (folder / "template" / "link").is_symlink():
            (folder / "template" / "link").symlink_to("file.txt")
        (folder / "copier.yml").write_text("_subdirectory: template\n")
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "gindock"\nversion = "{version}"\n'
        )
        run(["git", "add", "-A"], folder)
        run(["git", "commit", "-qm", text], folder)
    return folder


def refs(repository: Path) -> str:
    """The branches and tags of `repository` with what they point to."""
    command = ["git", f"--git-dir={repository}", "for-each-ref"]
    return run([*command, "--format=%(refname) %(objectname)"], repository).stdout


def written(checkout: Path, folder: Path) -> Path:
    """The history of `checkout` in a new repository below `folder`."""
    repository = folder / "history.git"
    history.write_repository(checkout, repository)
    return repository


def test_releases_are_the_commits_that_change_the_version(checkout: Path) -> None:
    found = history.releases(checkout)
    subjects = [
        run(["git", "log", "-1", "--format=%s", r.commit], checkout).stdout.strip() for r in found
    ]
    assert [(r.version, r.tag) for r in found] == [("0.1.0", "v0.1.0"), ("0.2.0", "v0.2.0")]
    assert subjects == ["one", "two"]


def test_a_side_branch_releases_nothing(checkout: Path) -> None:
    run(["git", "checkout", "-qb", "side", "HEAD~1"], checkout)
    releases.release(checkout, "0.9.0")
    run(["git", "checkout", "-q", "-"], checkout)
    run(["git", "merge", "-q", "--no-ff", "-s", "ours", "-m", "merge", "side"], checkout)
    assert [r.version for r in history.releases(checkout)] == ["0.1.0", "0.2.0"]


def test_the_history_holds_each_release_exactly(checkout: Path, tmp_path: Path) -> None:
    repository = written(checkout, tmp_path)
    assert run(["git", "tag"], repository).stdout.split() == ["v0.1.0", "v0.2.0"]
    assert run(["git", "show", "v0.1.0:template/file.txt"], repository).stdout == "one"
    assert run(["git", "show", "HEAD:template/file.txt"], repository).stdout == "two"
    for release in history.releases(checkout):
        ours = run(["git", "ls-tree", "-r", release.tag], repository).stdout
        theirs = run(
            ["git", "ls-tree", "-r", release.commit, "copier.yml", "template"], checkout
        ).stdout
        assert ours == theirs
    run(["git", "fsck", "--strict"], repository)


def test_every_kind_of_clone_gives_the_same_commits(checkout: Path, tmp_path: Path) -> None:
    expected = refs(written(checkout, tmp_path))
    run(["git", "tag", "v0.1.0", "HEAD"], checkout)  # A wrong one, which must not count.
    run(["git", "config", "uploadpack.allowFilter", "true"], checkout)
    kinds = {
        "tags": [],
        "no tags": ["--no-tags"],
        "partial": ["--filter=blob:none"],
        "bare-ish": ["--no-local"],
    }
    for kind, options in kinds.items():
        clone = tmp_path / kind
        run(["git", "clone", "-q", *options, f"file://{checkout}", clone], tmp_path)
        assert refs(written(clone, tmp_path / f"of {kind}")) == expected, kind
    run(["git", "worktree", "add", "-q", "--detach", tmp_path / "worktree"], checkout)
    assert refs(written(tmp_path / "worktree", tmp_path / "of worktree")) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"commit.gpgsign": "true", "gpg.program": "false"},
        {"i18n.commitEncoding": "ISO-8859-1", "core.compression": "9"},
        {"core.autocrlf": "true", "core.quotepath": "false"},
        {"init.defaultBranch": "trunk", "core.logAllRefUpdates": "always"},
        {"safe.bareRepository": "explicit"},
        {"log.showSignature": "true", "log.date": "iso", "color.ui": "always"},
    ],
    ids=lambda s: ",".join(s),
)
def test_the_users_git_settings_change_nothing(
    settings: dict[str, str], checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = refs(written(checkout, tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    assert refs(written(checkout, tmp_path / "again")) == expected


def test_another_object_format_changes_nothing(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = refs(written(checkout, tmp_path))
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    assert refs(written(checkout, tmp_path / "again")) == expected


def test_a_shallow_clone_is_refused(checkout: Path, tmp_path: Path) -> None:
    run(["git", "clone", "-q", "--depth=2", f"file://{checkout}", tmp_path / "shallow"], tmp_path)
    with pytest.raises(UserError, match=r"shallow clone.*git fetch --unshallow"):
        history.releases(tmp_path / "shallow")


def test_a_version_that_is_released_twice_is_refused(checkout: Path) -> None:
    releases.release(checkout, "0.1.0")
    with pytest.raises(UserError, match=r"0\.1\.0 is released twice"):
        history.releases(checkout)


def test_a_history_without_a_release_is_refused(tmp_path: Path) -> None:
    run(["git", "init", "-q", "."], tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.0.0"\n')
    run(["git", "add", "-A"], tmp_path)
    run(["git", "commit", "-qm", "x"], tmp_path)
    with pytest.raises(UserError, match="no release yet"):
        history.write_repository(tmp_path, tmp_path / "history.git")


def test_a_bundle_unpacks_to_the_same(checkout: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "new" / "history.bundle"
    history.write_bundle(checkout, bundle)
    history.unpack_bundle(bundle, tmp_path / "unpacked.git")
    assert refs(tmp_path / "unpacked.git") == refs(written(checkout, tmp_path))
    head, tag = history.bundle_head(bundle)
    assert tag == "v0.2.0"
    assert head == run(["git", "rev-parse", "v0.2.0"], tmp_path / "unpacked.git").stdout.strip()


def test_a_work_tree_follows_as_a_development_version(checkout: Path, tmp_path: Path) -> None:
    (checkout / "template" / "new.txt").write_text("not even added")
    history.write_repository(checkout, tmp_path / "dev.git", work_tree=True)
    tag = history.development_tag(checkout)
    assert tag.startswith("v0.2.1.dev0+g")
    assert (
        run(["git", "show", f"{tag}:template/new.txt"], tmp_path / "dev.git").stdout
        == "not even added"
    )
    (checkout / "template" / "new.txt").write_text("changed")
    assert history.development_tag(checkout) != tag


def build(source: Path, out: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """Build the sdist or the wheel of `source` into `out`."""
    return run([sys.executable, "-m", "build", *what, "--outdir", out, source], source, ok=False)


def wheel_refs(wheel: Path, folder: Path) -> str:
    """The history that `wheel` carries."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert "gindock/_template/copier.yml" in names
        assert any(name.startswith("gindock/_template/template/internal/") for name in names)
        assert not any("hatch_build" in name or name.startswith("tests") for name in names)
        archive.extract("gindock/_template/history.bundle", folder)
    history.unpack_bundle(folder / "gindock/_template/history.bundle", folder / "history.git")
    return refs(folder / "history.git")


def test_wheel_and_sdist_carry_the_same_history(tmp_path: Path) -> None:
    checkout = releases.next_checkout()
    done = build(checkout, tmp_path / "direct", "--wheel")
    assert done.returncode == 0, done.stdout
    assert build(checkout, tmp_path / "sdist", "--sdist").returncode == 0
    with tarfile.open(next((tmp_path / "sdist").glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    source = next((tmp_path / "unpacked").iterdir())
    assert not (source / ".git").exists()
    assert build(source, tmp_path / "indirect", "--wheel").returncode == 0
    found = {
        kind: wheel_refs(next((tmp_path / kind).glob("*.whl")), tmp_path / f"of {kind}")
        for kind in ("direct", "indirect")
    }
    assert found["direct"] == found["indirect"]
    assert refs(written(checkout, tmp_path)) == found["direct"]
    assert f"refs/tags/v{releases.NEXT}" in found["direct"]


def test_a_shallow_clone_builds_no_wheel(tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    run(
        ["git", "clone", "-q", "--depth=1", f"file://{releases.next_checkout()}", shallow], tmp_path
    )
    done = build(shallow, tmp_path / "out", "--wheel")
    assert done.returncode != 0
    assert "shallow clone" in done.stdout
    assert not list((tmp_path / "out").glob("*.whl"))


def test_landed_releases_keep_their_commit_ids(tmp_path: Path) -> None:
    """What a project recorded must stay in every later gindock: docs/releases.txt is append-only."""
    recorded = [
        line.split()
        for line in (ROOT / "docs" / "releases.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    if not history.releases(ROOT):
        assert recorded == []
        return
    repository = written(ROOT, tmp_path)
    tags = [line.split() for line in refs(repository).splitlines() if line.startswith("refs/tags/")]
    ids = {tag.removeprefix("refs/tags/"): commit for tag, commit in tags}
    assert [ids[tag] for tag, _ in recorded] == [commit for _, commit in recorded]
    assert len(recorded) >= len(history.releases(ROOT)) - 1, (
        "add the last release to docs/releases.txt"
    )


def test_git_is_needed_and_said_so(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with pytest.raises(UserError, match="git is not installed"):
        history.releases(checkout)
    assert shutil.which("git") is None
