#!/bin/bash
# A Debian root with Prometheus: stands in for prom/prometheus, with its user, its folders and its
# configuration's place. Usage: prometheus.sh OUT.tar
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What a testing release says is valid for a week, which a mirror may lag behind.
mmdebstrap --quiet --variant=minbase --mode=root \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --include=busybox,prometheus forky "$work/root"

cd "$work/root"
ln -s busybox usr/bin/wget
install -d -o 65534 -g 65534 prometheus
tar --numeric-owner --sort=name -cf "$1" .
