#!/bin/bash
# The root of a stand-in for distroless/static: the files of the Debian packages that
# distroless itself is assembled from, and its passwd. Usage: distroless.sh OUT.tar
set -euo pipefail
packages='base-files ca-certificates media-types netbase tzdata'
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# mmdebstrap brings the keys and the mirror of the release; nothing is installed.
mmdebstrap --quiet --variant=custom --mode=root --extract-hook="
  mkdir '$root/debs' && cd '$root/debs'
  APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download $packages" trixie /dev/null

mkdir "$root/image" && cd "$root/image"
for deb in "$root"/debs/*.deb; do dpkg-deb -x "$deb" .; done
cat usr/share/ca-certificates/mozilla/*.crt >etc/ssl/certs/ca-certificates.crt
rm -rf usr/share/ca-certificates usr/sbin/* usr/share/man usr/share/bug usr/share/lintian
echo 'hosts: files dns' >etc/nsswitch.conf
cat >etc/passwd <<'PASSWD'
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
PASSWD
cat >etc/group <<'GROUP'
root:x:0:
nobody:x:65534:
tty:x:5:
staff:x:50:
nonroot:x:65532:
GROUP
install -d -m 0700 -o 65532 -g 65532 home/nonroot
tar --numeric-owner --sort=name -cf "$1" .
