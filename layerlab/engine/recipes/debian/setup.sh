#!/bin/sh
# Before any package: what Debian's slim images for containers leave out, and keep leaving out.
set -eu
cd "$1"
mkdir -p etc/dpkg/dpkg.cfg.d
cat > etc/dpkg/dpkg.cfg.d/docker <<'END'
# A build that loses power is run again, so nothing is flushed to the disk file by file.
force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
END
