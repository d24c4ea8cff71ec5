#!/usr/bin/env bash
# Submits the run of a deployment file to a Ray cluster that is already there, and follows its log.
# Called again after an interruption, it continues the unfinished run: the command is the same.
#
#   export RAY_ADDRESS=http://127.0.0.1:8265 RAY_AUTH_TOKEN_PATH=...
#   cluster/submit.sh [cluster/settings/NAME.yaml] [--section.name value ...]
set -euo pipefail
cd "$(dirname "$0")/.."

settings=cluster/settings/embedded.yaml
if [[ $# -gt 0 && $1 != --* ]]; then
    settings=$1
    shift
fi

if [[ -z ${RAY_ADDRESS:-} ]]; then
    echo "cluster/submit.sh: RAY_ADDRESS must be the dashboard's address, such as http://127.0.0.1:8265" >&2
    exit 2
fi
export RAY_AUTH_MODE=${RAY_AUTH_MODE:-token}
if [[ $RAY_AUTH_MODE == token && -z ${RAY_AUTH_TOKEN:-}${RAY_AUTH_TOKEN_PATH:-} && ! -f ~/.ray/auth_token ]]; then
    echo "cluster/submit.sh: the cluster's token is missing; set RAY_AUTH_TOKEN_PATH to a file that holds it" >&2
    exit 2
fi

# One shell line, quoted by `eva-rl cluster command`: the line that the rendered RayJob runs, too.
command=$(eva-rl cluster command "$settings")
eval "words=($command)"
# shellcheck disable=SC2154  # set by eval
exec ray job submit --working-dir . --runtime-env cluster/runtime_env.yaml -- "${words[@]}" "$@"
