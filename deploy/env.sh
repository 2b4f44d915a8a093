#!/bin/sh
# `env.sh [PROFILE,... [NAME=VALUE ...]]` writes into .env what the containers need and it lacks; what is there stays.
# Profiles and NAMEs that are given are written down, so that `docker compose` means the same as `make up` did.
set -eu
umask 077
profiles=${1:-}
[ $# = 0 ] || shift

secret() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }
has() { grep -q "^$1=" .env; }
add() { has "$1" || printf '%s=%s\n' "$1" "$2" >>.env; }
forget() { if has "$1"; then { grep -v "^$1=" .env || true; } >.env.new && mv .env.new .env; fi; }
wanted() { case ",$profiles," in *",$1,"*) ;; *) return 1 ;; esac; }

# As `make setup` writes it, for `make run`; in containers DEBUG is off, whatever is said here.
[ -e .env ] || echo DEBUG=on >.env
# Written by hand, it may be readable for all: secrets come into it now.
chmod go= .env
# A last line without its end.
[ -z "$(tail -c 1 .env)" ] || echo >>.env
# No TLS in front, as on a laptop: said on the first use alone. Take the line out where there is.
has POSTGRES_PASSWORD || add CONTAINERS_HTTPS off
for name in SECRET_KEY POSTGRES_PASSWORD REDIS_PASSWORD; do add "$name" "$(secret)"; done
if wanted rabbitmq; then
    add RABBITMQ_PASSWORD "$(secret)"
    add ON_RABBITMQ yes
elif [ -n "$profiles" ]; then
    forget ON_RABBITMQ
fi
if wanted observability; then
    for name in GRAFANA_PASSWORD METRICS_TOKEN; do add "$name" "$(secret)"; done
fi
[ -z "$profiles" ] || set -- "COMPOSE_PROFILES=$profiles" "$@"
for given in "$@"; do
    forget "${given%%=*}"
    printf '%s\n' "$given" >>.env
done
