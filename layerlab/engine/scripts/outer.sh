#!/bin/sh
# Runs as root, in a mount namespace of its own: ENGINE_FOLDER and the other settings come from launch.py.
set -eu
. "$(dirname "$0")/environ"
# Whoever starts the engine must be able to read its pid, whatever their umask.
umask 022
echo $$ > "$ENGINE_FOLDER/pid"
# The engine's helpers need a way back to the host's network, to answer on its loopback.
: > "$ENGINE_FOLDER/hostnet"
mount --bind /proc/self/ns/net "$ENGINE_FOLDER/hostnet"
# A network and a process tree of its own: when the engine dies, the kernel ends all that it
# started, and its interfaces and mounts are gone with it.
exec unshare --net --pid --fork --kill-child --mount-proc docker-init -s -- sh "$ENGINE_SCRIPTS/inner.sh"
