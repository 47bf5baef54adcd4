#!/bin/bash
# The root of a stand-in for golang:alpine: the alpine stand-in and a Go tree of the
# version that the template names. Usage: golang.sh OUT.tar ALPINE.tar GO_VERSION
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

goroot=$(cd / && GOTOOLCHAIN="go$3" go env GOROOT)
tar -xf "$2" -C "$root"
mkdir -p "$root/usr/local/go" "$root/go/bin" "$root/go/src"
# Go's own tests are no part of a build, and half of the tree.
tar -C "$goroot" --exclude=./test --exclude=testdata --exclude='*_test.go' -cf - . |
  tar -C "$root/usr/local/go" -xf -
# What fetches modules here must trust what this machine trusts.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
chmod -R u+w "$root/usr/local/go"
tar --numeric-owner --owner=0 --group=0 --sort=name -C "$root" -cf "$1" .
