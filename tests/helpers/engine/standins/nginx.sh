#!/bin/bash
# A Debian root with the nginx that the template names, which stable Debian is too old for: stands
# in for nginx, with its user, its entry point and its logs. Usage: nginx.sh OUT.tar
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
  --include=curl,nginx forky "$work/root"

cd "$work/root"
echo 'nginx:x:101:101:nginx:/var/cache/nginx:/sbin/nologin' >>etc/passwd
echo 'nginx:x:101:' >>etc/group
rm -rf var/log/nginx/* var/cache/apt
ln -s /dev/stdout var/log/nginx/access.log
ln -s /dev/stderr var/log/nginx/error.log
cat >docker-entrypoint.sh <<'ENTRYPOINT'
#!/bin/sh
# The official one says in text, on stdout, which scripts it runs, unless it is told not to.
[ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$0: Configuration complete; ready for start up"
exec "$@"
ENTRYPOINT
chmod 755 docker-entrypoint.sh
tar --numeric-owner --sort=name -cf "$1" .
