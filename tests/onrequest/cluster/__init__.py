"""A Kubernetes control plane on 127.0.0.1, built from the Go modules that two go.mod files pin.

etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and Argo Rollouts are real.
KWOK stands in for the nodes: it sets the status of pods, and runs none.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.crds import crd_files
from helpers.linters import _go_install, _installed
from helpers.machine import ROOT, need, run
from helpers.service import free_port

FOLDER = ROOT / "tests" / "onrequest" / "cluster"
PINS = FOLDER / "tools" / "go.mod"
ARGO = FOLDER / "argo"

#: The digest of an image whose pods run, and never get ready.
BROKEN = "sha256:" + "b" * 64


@functools.cache
def version() -> str:
    """The version of Kubernetes, which its binaries cannot know when they are built as modules."""
    found = re.search(r"^\tk8s\.io/kubernetes (v\S+)", PINS.read_text(), re.MULTILINE)
    assert found
    return found[1]


@functools.cache
def programs() -> Path:
    """The folder of the programs, built on first use: some 20 minutes on two cores."""
    major, minor, _ = version().removeprefix("v").split(".")
    stamps = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    package = "k8s.io/component-base/version"
    flags = " ".join(f"-X {package}.{name}={value}" for name, value in stamps.items())

    def install(folder: Path) -> None:
        _go_install(folder, "tool", PINS.parent, GOFLAGS=f"-trimpath '-ldflags=-s -w {flags}'")
        (folder / "server").rename(folder / "etcd")

    return _installed("cluster", PINS.read_bytes() + flags.encode(), install)


@functools.cache
def argo() -> Path:
    """The folder of the controller of Argo Rollouts, and of what stands in for its plugin."""
    pins = b"".join((ARGO / name).read_bytes() for name in ("go.mod", "router.go"))
    go = yaml.safe_load((ROOT / "copier.yml").read_text())["go_version"]["default"]

    def install(folder: Path) -> None:
        for what in ("tool", "."):
            _go_install(folder, what, ARGO, GOTOOLCHAIN=f"go{go}", GOFLAGS="-trimpath -ldflags=-s")

    return _installed("rollouts", pins, install)


class Cluster:
    """The running control plane, seen through its kubectl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = programs()
        self.etcd, self.etcd_peers, self.api, self.kubelet = (free_port() for _ in range(4))
        #: Where `kubectl port-forward` to any pod ends.
        self.pod = free_port()
        self.kubeconfig = folder / "kubeconfig"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def kubectl(
        self, *arguments: str | Path, ok: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """What a command of kubectl did; where `ok`, it must succeed."""
        return run(
            [self.programs / "kubectl", *arguments], self.folder, self.env, ok=ok, timeout=timeout
        )

    @property
    def env(self) -> dict[str, str]:
        """For a script that runs kubectl itself."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": path, "HOME": str(self.folder)}

    def get(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """The objects that `kubectl get` finds."""
        found = json.loads(self.kubectl("get", *arguments, "--output", "json").stdout)
        return list(found["items"]) if "items" in found else [found]

    def start(self) -> None:
        """Start all of it, and wait until nodes are ready and custom resources are served."""
        self._make_credentials()
        self._run("etcd", *self._etcd())
        self._run("kube-apiserver", *self._apiserver())
        self._wait("the API server is ready", lambda: self._answers("get", "--raw", "/readyz"))
        files = [part for path in crd_files() for part in ("--filename", path)]
        self.kubectl("create", *files)
        self.kubectl("wait", *files, "--for", "condition=Established")
        self._run(
            "kube-controller-manager", "--kubeconfig", self.kubeconfig, "--leader-elect=false",
            "--service-account-private-key-file", self.folder / "sa.key",
            "--root-ca-file", self.folder / "apiserver.crt", "--secure-port=0",
            "--enable-hostpath-provisioner",
            # KWOK sends no heartbeats.
            "--node-monitor-grace-period=24h",
        )  # fmt: skip
        self._run(
            "kube-scheduler", "--kubeconfig", self.kubeconfig, "--leader-elect=false",
            "--secure-port=0",
        )  # fmt: skip
        config = self.folder / "kwok.yaml"
        text = (FOLDER / "kwok.yaml").read_text()
        config.write_text(text.replace("BROKEN", BROKEN).replace("PORT", str(self.pod)))
        self._run(
            "kwok", "--kubeconfig", self.kubeconfig, "--config", config, "--manage-all-nodes=true",
            "--node-ip=127.0.0.1", f"--node-port={self.kubelet}",
            f"--server-address=127.0.0.1:{self.kubelet}",
            "--tls-cert-file", self.folder / "kubelet.crt",
            "--tls-private-key-file", self.folder / "kubelet.key",
        )  # fmt: skip
        self._start_rollouts()
        self.kubectl("create", "--filename", FOLDER / "nodes.yaml")
        self.kubectl("wait", "nodes", "--all", "--for", "condition=Ready")

    def _start_rollouts(self) -> None:
        namespace = "argo-rollouts"
        self.kubectl("create", "namespace", namespace)
        plugin = f"file://{argo()}/gindock-test-rollouts"
        routers = [{"name": "argoproj-labs/gatewayAPI", "location": plugin}]
        self.kubectl(
            "create", "configmap", "argo-rollouts-config", "--namespace", namespace,
            "--from-literal", f"trafficRouterPlugins={json.dumps(routers)}",
        )  # fmt: skip
        self._run(
            "rollouts-controller", "--kubeconfig", self.kubeconfig, "--leader-elect=false",
            f"--metricsPort={free_port()}", f"--healthzPort={free_port()}",
            folder=argo(), env={"POD_NAMESPACE": namespace, "KUBECONFIG": str(self.kubeconfig)},
        )  # fmt: skip

    def _make_credentials(self) -> None:
        need("openssl", "setpriv")
        openssl = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
        for name in ("apiserver", "kubelet", "sa"):
            run(
                [*openssl, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-keyout", f"{name}.key", "-out", f"{name}.crt"], self.folder,
            )  # fmt: skip
        token = os.urandom(16).hex()
        (self.folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.api}",
                        "certificate-authority": str(self.folder / "apiserver.crt"),
                    },
                }
            ],
            "users": [{"name": "admin", "user": {"token": token}}],
        }
        self.kubeconfig.write_text(json.dumps(kubeconfig))

    def _etcd(self) -> list[str | Path]:
        clients, peers = (f"http://127.0.0.1:{port}" for port in (self.etcd, self.etcd_peers))
        return [
            *("--data-dir", self.folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", clients, "--advertise-client-urls", clients),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"default={peers}"),
        ]

    def _apiserver(self) -> list[str | Path]:
        return [
            *("--bind-address=127.0.0.1", f"--secure-port={self.api}"),
            # No address of the loopback interface may stand in the Endpoints of "kubernetes".
            "--endpoint-reconciler-type=none",
            f"--etcd-servers=http://127.0.0.1:{self.etcd}",
            *("--tls-cert-file", self.folder / "apiserver.crt"),
            *("--tls-private-key-file", self.folder / "apiserver.key"),
            *("--service-account-key-file", self.folder / "sa.crt"),
            *("--service-account-signing-key-file", self.folder / "sa.key"),
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            *("--token-auth-file", self.folder / "tokens.csv", "--authorization-mode=RBAC"),
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _run(
        self,
        name: str,
        *arguments: str | Path,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                # Also where this process is killed.
                ["setpriv", "--pdeathsig", "KILL", (folder or self.programs) / name, *arguments],
                cwd=self.folder, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _answers(self, *arguments: str) -> bool:
        return self.kubectl(*arguments, ok=False).returncode == 0

    def _wait(self, what: str, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 180
        while not true():
            for name, process in self.processes.items():
                if process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / f"{name}.log").read_text()[-2000:]
                    pytest.fail(f"{name}, until {what}:\n{log}", pytrace=False)
            time.sleep(0.2)

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()


@contextmanager
def start() -> Iterator[Cluster]:
    """A cluster until the end; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="gindock-cluster-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
