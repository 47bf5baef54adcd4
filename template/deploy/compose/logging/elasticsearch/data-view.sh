#!/bin/bash
# The data view through which Kibana shows the logs. One that is there stays as somebody left it.
set -euo pipefail

kibana() {
  curl --silent --show-error --fail-with-body --user "elastic:$(cat /run/secrets/elastic_password)" \
    --header 'Content-Type: application/json' --header 'kbn-xsrf: true' \
    "http://kibana:5601/api/data_views/$1" "${@:2}"
}

if kibana data_view/logs > /dev/null 2>&1; then
  exit
fi
kibana data_view --data '{"data_view": {"id": "logs", "name": "Logs", "title": "logs-compose-*",
  "timeFieldName": "@timestamp"}}'
kibana default --data '{"data_view_id": "logs"}'
