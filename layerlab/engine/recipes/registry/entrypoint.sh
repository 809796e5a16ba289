#!/bin/sh
# A configuration file alone is served; a command of registry is run by it; all else as it is.
set -e
case "${1:-}" in
*.yml | *.yaml) set -- registry serve "$@" ;;
serve | garbage-collect | help | -*) set -- registry "$@" ;;
esac
exec "$@"
