#!/bin/bash
# The root of a stand-in for alpine: BusyBox from Debian's source package, as upstream
# configures it, with the addgroup and adduser that Debian's own build lacks.
# Usage: alpine.sh OUT.tar
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The machine's own apt sources, read as sources of source packages.
mkdir -p apt lists/partial root
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
  [ ! -f "$list" ] || sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' "$list" >"apt/${list##*/}"
done
apt="apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList=/dev/null
  -o Dir::Etc::SourceParts=$work/apt -o Dir::State::Lists=$work/lists"
$apt update
$apt source busybox

cd busybox-*/
make -s defconfig >/dev/null
# Alpine's own range of user ids; upstream's ends at 60000.
sed -i 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/; s/^CONFIG_LAST_ID=.*/CONFIG_LAST_ID=256000/' \
  .config
make -s -j"$(nproc)" busybox >"$work/log" 2>&1 || { tail -n 20 "$work/log"; exit 1; }

cd "$work/root"
mkdir -p bin dev etc/ssl/certs home proc root/.cache run sbin sys tmp usr/bin usr/sbin var/tmp
chmod 0700 root
chmod 1777 tmp var/tmp
install "$work"/busybox-*/busybox bin/busybox
for applet in $(bin/busybox --list-full); do
  [ "$applet" = bin/busybox ] || ln -s /bin/busybox "$applet"
done
cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/
cat >etc/passwd <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/sbin/nologin
PASSWD
cat >etc/group <<'GROUP'
root:x:0:root
nobody:x:65534:
GROUP
printf 'root:*::0:::::\nnobody:!::0:::::\n' >etc/shadow
chmod 0640 etc/shadow
tar --numeric-owner --owner=0 --group=0 --sort=name -cf "$1" .
