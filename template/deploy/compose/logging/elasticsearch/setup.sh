#!/bin/bash
# What Elasticsearch must know before the first line comes. Doing it again changes nothing.
set -euo pipefail

password() { cat "/run/secrets/$1_password"; }

put() {
  printf '%s: ' "$1"
  curl --silent --show-error --fail-with-body --user "elastic:$(password elastic)" \
    --header 'Content-Type: application/json' --request PUT --data "$2" "http://elasticsearch:9200/$1"
  echo
}

# An index is deleted whole, seven days after its first line.
put _ilm/policy/logs-compose '{"policy": {"phases": {"hot": {"actions": {}},
  "delete": {"min_age": "7d", "actions": {"delete": {}}}}}}'
put _index_template/logs-compose "@${BASH_SOURCE%/*}/index-template.json"

put _security/role/log-writer '{"indices": [{"names": ["logs-compose-*"],
  "privileges": ["auto_configure", "index"]}]}'
put _security/user/log-writer "{\"password\": \"$(password log_writer)\", \"roles\": [\"log-writer\"]}"
put _security/user/kibana_system/_password "{\"password\": \"$(password kibana)\"}"
