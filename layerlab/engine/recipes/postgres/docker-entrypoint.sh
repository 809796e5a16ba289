#!/usr/bin/env bash
# Makes the database on the first start, as the official image documents it, then becomes postgres.
set -Eeo pipefail

fail() { printf 'Error: %s\n' "$1" >&2; exit 1; }

# A setting may be in a file (a secret) that NAME_FILE names, but not in both places.
from_file() {
    local name=$1 file=$1_FILE
    [ -z "${!name:-}" ] || [ -z "${!file:-}" ] ||
        fail "both $name and $file are set (but are exclusive)"
    if [ -n "${!file:-}" ]; then export "$name=$(< "${!file}")"; fi
    unset "$file"
}

settings() {
    local name
    for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do
        from_file "$name"
    done
    : "${POSTGRES_USER:=postgres}"
    : "${POSTGRES_DB:=$POSTGRES_USER}"
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        fail 'Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.'
    fi
}

make_cluster() {
    local arguments
    eval "arguments=($POSTGRES_INITDB_ARGS ${POSTGRES_INITDB_WALDIR:+--waldir \"\$POSTGRES_INITDB_WALDIR\"})"
    # An empty password file is refused, so without a password there is none.
    if [ -n "${POSTGRES_PASSWORD:-}" ]; then
        initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${arguments[@]}"
    else
        initdb --username="$POSTGRES_USER" "${arguments[@]}"
    fi
    # Other hosts log in with a password, hashed the way this server hashes passwords.
    local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

query() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
        --username "$POSTGRES_USER" "$@"
}

first_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
        *.sh)
            printf '%s: running %s\n' "$0" "$file"
            # shellcheck disable=SC1090
            if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
        *.sql) printf '%s: running %s\n' "$0" "$file"; query --dbname "$POSTGRES_DB" -f "$file" ;;
        *.sql.gz) printf '%s: running %s\n' "$0" "$file"; gunzip -c "$file" | query --dbname "$POSTGRES_DB" ;;
        *.sql.xz) printf '%s: running %s\n' "$0" "$file"; xzcat "$file" | query --dbname "$POSTGRES_DB" ;;
        *.sql.zst) printf '%s: running %s\n' "$0" "$file"; zstd -dc "$file" | query --dbname "$POSTGRES_DB" ;;
        esac
    done
}

initialise() {
    settings
    make_cluster "$@"
    export PGPASSWORD="${PGPASSWORD:-${POSTGRES_PASSWORD:-}}"
    # This server is for the scripts only: nobody outside may take it for the finished one.
    pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@" -c listen_addresses='' -p "${PGPORT:-5432}")" -w start
    if [ "$POSTGRES_DB" != postgres ]; then
        query --dbname postgres --set db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
    fi
    first_scripts
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

# Whether postgres was asked only to say something about itself.
only_asked() {
    local word
    for word in "$@"; do
        case "$word" in -'?' | --help | --describe-config | -V | --version) return 0 ;; esac
    done
    return 1
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac

if [ "${1:-}" = postgres ] && ! only_asked "$@"; then
    # Some storage keeps its own owners and modes; postgres itself complains where it matters.
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 00700 "$PGDATA" || true
    chmod 02775 /var/run/postgresql || true
    if [ "$(id -u)" = 0 ]; then
        find "$PGDATA" ! -user postgres -exec chown postgres {} +
        find /var/run/postgresql ! -user postgres -exec chown postgres {} +
        exec setpriv --reuid=postgres --regid=postgres --init-groups \
            env HOME=/var/lib/postgresql "${BASH_SOURCE[0]}" "$@"
    fi
    if [ -s "$PGDATA/PG_VERSION" ]; then
        printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
        initialise "${@:2}"
    fi
fi

exec "$@"
