"""Write the table of findings in docs/measured/manifests.md."""

from __future__ import annotations

from collections import Counter

from helpers.machine import ROOT
from helpers.manifest_linters import LINTERS, Waiver, documents, waivers
from helpers.manifests import Build, builds, title

PAGE = ROOT / "docs" / "measured" / "manifests.md"
KINDS = ("dev", "rolling", "blue-green", "canary", "logging")

INTRODUCTION = """\
# What linters find in the manifests

Written by `make findings`. Any three answers meet in one of the combinations; each of their
overlays is built, and every build is looked at by every linter. `tests/kubernetes/test_manifests.py` fails at
the first finding, and at a waiver that is not needed. kube-linter runs all its checks but those that
`tests/helpers/lint/kube-linter/config.yaml` leaves out, with reasons; of kube-score, warnings count.

"""


def table(*rows: tuple[object, ...]) -> str:
    """Return a table in Markdown, the head first."""
    head, *body = ("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in rows)
    return head + "|" + "---|" * len(rows[0]) + "\n" + "".join(body)


def findings(built: list[Build]) -> str:
    """Return what each linter finds in each kind of combination."""
    counts = {
        linter: Counter(finding.build.combination for finding in lint(built))
        for linter, lint in LINTERS.items()
    }
    rows: list[tuple[object, ...]] = [("", "Builds", "Objects", "Different ones", *LINTERS)]
    for kind in KINDS:
        of_kind = [build for build in built if build.combination == kind]
        objects = sum(len(build.objects) for build in of_kind)
        found = [counts[linter][kind] for linter in LINTERS]
        rows.append((kind, len(of_kind), objects, len(documents(of_kind)), *found))
    total = [sum(count.values()) for count in counts.values()]
    objects = sum(len(build.objects) for build in built)
    rows.append(("all", len(built), objects, len(documents(built)), *total))
    return table(*rows)


def waived(built: list[Build]) -> str:
    """Return which rules are waived, for which objects and why."""
    found: dict[tuple[str, Waiver], Counter[str]] = {}
    for build in built:
        for document in build.objects:
            for waiver in waivers(document):
                kind, name = title(document).split()
                what = kind if kind in ("Deployment", "HorizontalPodAutoscaler") else name
                found.setdefault((what, waiver), Counter())[build.combination] += 1
    rows = [
        (w.linter, f"`{w.rule}`", what, *(count[kind] or "" for kind in KINDS), w.reason)
        for (what, w), count in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    return table(("Linter", "Rule", "Of", *KINDS, "Reason"), *rows)


if __name__ == "__main__":
    PAGE.write_text(
        f"{INTRODUCTION}{findings(builds())}\n"
        "What is waived, and in how many builds. kube-score has no place for a reason: it stands in "
        "the manifest.\n\n"
        f"{waived(builds())}",
        encoding="utf-8",
    )
