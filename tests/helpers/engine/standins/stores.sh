#!/bin/bash
# A Debian root with PostgreSQL, MariaDB and Redis: stands in for postgres, mysql and redis, with
# their users and their folders. Debian has no MySQL. Usage: stores.sh OUT.tar
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# libLLVM is PostgreSQL's JIT, loaded only if it is there, and a third of the image.
mmdebstrap --quiet --variant=minbase --mode=root \
  --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/lib/*/libLLVM*' \
  --include=postgresql,mariadb-server,redis-server trixie "$work/root"

cd "$work/root"
# The users of postgres:alpine and of redis.
echo 'store:x:70:70:PostgreSQL:/var/lib/postgresql:/bin/sh' >>etc/passwd
echo 'cache:x:999:1000:Redis:/data:/bin/sh' >>etc/passwd
rm -rf var/lib/postgresql var/lib/mysql etc/mysql var/log/* var/cache/*
install -d -m 1777 -o 70 -g 70 var/lib/postgresql run/postgresql
install -d -o 999 -g 1000 data
install -d -m 1777 -o 999 -g 999 var/lib/mysql run/mysqld
for program in usr/lib/postgresql/*/bin/{initdb,postgres,pg_isready}; do
  ln -s "/$program" usr/local/bin/
done
cat >usr/local/bin/postgres-entrypoint <<'ENTRYPOINT'
#!/bin/sh
# What the official image makes of POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD[_FILE].
set -eu
[ "$(id -u)" != 0 ] || exec setpriv --reuid=70 --regid=70 --clear-groups "$0"
export PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  password=${POSTGRES_PASSWORD_FILE:-$(mktemp)}
  [ -s "$password" ] || printf %s "$POSTGRES_PASSWORD" >"$password"
  initdb --username="$POSTGRES_USER" --pwfile="$password" --auth=scram-sha-256 --no-sync >/dev/null
  printf 'CREATE DATABASE "%s";\n' "$POSTGRES_DB" | postgres --single postgres >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
ENTRYPOINT
[ -e usr/bin/mysqladmin ] || ln -s /usr/bin/mariadb-admin usr/local/bin/mysqladmin
cat >usr/local/bin/mysql-entrypoint <<'ENTRYPOINT'
#!/bin/sh
# What the official image makes of MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD[_FILE] and
# MYSQL_ROOT_PASSWORD; options are the server's.
set -eu
[ "$(id -u)" != 0 ] || exec setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
case ${1:-} in mariadbd) shift ;; esac
data=/var/lib/mysql
if [ ! -d "$data/mysql" ]; then
  mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >/dev/null
  {
    # A statement a line.
    echo "DELETE FROM mysql.global_priv WHERE User = '';"
    echo "FLUSH PRIVILEGES;"
    [ -z "${MYSQL_ROOT_PASSWORD:-}" ] ||
      echo "GRANT ALL ON *.* TO root@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD' WITH GRANT OPTION;"
    [ -z "${MYSQL_DATABASE:-}" ] || echo "CREATE DATABASE \`$MYSQL_DATABASE\`;"
    [ -z "${MYSQL_USER:-}" ] || {
      password=${MYSQL_PASSWORD:-$(cat "${MYSQL_PASSWORD_FILE:-/dev/null}")}
      echo "CREATE USER \`$MYSQL_USER\`@'%' IDENTIFIED BY '$password';"
      echo "GRANT ALL ON \`$MYSQL_DATABASE\`.* TO \`$MYSQL_USER\`@'%';"
    }
  } | mariadbd --no-defaults --datadir="$data" --bootstrap --silent-startup
fi
exec mariadbd --no-defaults --datadir="$data" --bind-address=0.0.0.0 --skip-name-resolve \
  --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/mysqld.pid "$@"
ENTRYPOINT
chmod 755 usr/local/bin/{postgres,mysql}-entrypoint
tar --numeric-owner --sort=name -cf "$1" .
