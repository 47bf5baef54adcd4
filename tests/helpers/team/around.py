"""Edits of a team around its code, on a service of v0.6.0."""

from __future__ import annotations

from helpers.team.edit import Change, Edit, after

CI = ".github/workflows/ci.yml"
MAIN = "cmd/svc/main.go"
DEPLOYMENT = "deploy/kubernetes/base/deployment.yaml"
README = "README.md"

_SIGN = """\
  sign:
    needs: [push, scan]
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    permissions:
      id-token: write # the signature's key lives as long as this identity
    steps:
      - uses: sigstore/cosign-installer@6f9f17788090df1f26f669e9d70d6ae9567deba6 # v4.1.2
      - uses: docker/login-action@4907a6ddec9925e35a0a9e82d7399ccc52663121 # v4.1.0
        with:
          registry: registry.example.com
          username: ${{ secrets.REGISTRY_USERNAME }}
          password: ${{ secrets.REGISTRY_PASSWORD }}
      - run: cosign sign --yes "registry.example.com/svc@$DIGEST"
        env:
          DIGEST: ${{ needs.push.outputs.digest }}

"""
_VERIFY = """\
      - name: Verify that this workflow signed the image
        run: >-
          cosign verify "$IMAGE"
          --certificate-identity "$GITHUB_SERVER_URL/$GITHUB_WORKFLOW_REF"
          --certificate-oidc-issuer https://token.actions.githubusercontent.com
"""
_SEED = """\
seed: ## Fill the database of Compose
\tdocker compose exec -T postgres psql --username=app app < deploy/seed.sql
"""
_ON_CALL = """\
## On call

The shop's team, in #shop-ops. The database is restored by `pg_restore` from the bucket `shop-backups`.

"""


AROUND = (
    Edit(
        "ci-step",
        "CI: a step that shows the coverage",
        [
            after(
                CI,
                "      - run: make test COVER=coverage.out",
                '      - run: go tool cover -func=coverage.out >> "$GITHUB_STEP_SUMMARY"',
            )
        ],
    ),
    Edit(
        "makefile",
        "Makefile: a target `seed`",
        [
            Change(
                "Makefile",
                "manifests image push\n",
                "manifests image push seed\n",
            ),
            Change(
                "Makefile",
                "down: ## Stop it; the data stay\n",
                f"{_SEED}\ndown: ## Stop it; the data stay\n",
            ),
        ],
    ),
    Edit(
        "compose-port",
        "Compose: another port by default",
        [
            Change("compose.yaml", "${LISTEN:-127.0.0.1:8080}", "${LISTEN:-127.0.0.1:8088}"),
            Change(README, "curl http://localhost:8080/", "curl http://localhost:8088/"),
            Change(README, "| `LISTEN` | `127.0.0.1:8080` |", "| `LISTEN` | `127.0.0.1:8088` |"),
        ],
    ),
    Edit(
        "replicas",
        "Kubernetes: more replicas",
        [
            Change(DEPLOYMENT, "minReplicas: 3\n", "minReplicas: 4\n"),
            Change(DEPLOYMENT, "maxReplicas: 10\n", "maxReplicas: 20\n"),
        ],
    ),
    Edit(
        "readme",
        "README: what the service is, and who is on call",
        [
            Change(
                README,
                "\nsvc: an HTTP service in Go\n",
                "\nThe orders of the shop. Ask #shop-dev.\n",
            ),
            Change(README, "## Release\n", f"{_ON_CALL}## Release\n"),
        ],
    ),
    Edit(
        "ignores",
        "`.gitignore`; a new top-level package, let into `.dockerignore`",
        [
            after(".gitignore", ".secrets/", ".idea/"),
            after(".dockerignore", "!internal", "!web"),
            after(MAIN, '\t"example.com/svc/internal/postgres"', '\t"example.com/svc/web"'),
            Change(MAIN, "\tapi.Register(router", "\tweb.Register(router)\n\tapi.Register(router"),
        ],
        needless=[".dockerignore"],
        told=[
            "**`.dockerignore`** lets every folder in. Take the template's side; your own `!folder` is needless.",
        ],
    ),
    Edit(
        "deletions",
        "Deletions: `renovate.json`, and the workflow's job `sign`",
        [
            Change(CI, _SIGN, ""),
            Change(CI, "    needs: [push, sign]\n", "    needs: [push, scan]\n"),
            Change(CI, _VERIFY, ""),
        ],
        removed=["renovate.json"],
    ),
)
