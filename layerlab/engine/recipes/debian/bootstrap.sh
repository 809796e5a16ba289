#!/bin/sh
# Writes Debian's root file system as a tar to standard output. Runs as root in a mount namespace
# of its own, so that no mount outlives it, however it ends.
#   bootstrap.sh WORK TOOLS RECIPE SOURCES IMAGE_SOURCES
# WORK: an empty folder; TOOLS: where mmdebstrap is unpacked; RECIPE: this folder; SOURCES: what to
# fetch from now; IMAGE_SOURCES: the package sources that the image keeps.
set -eu
work=$1 tools=$2
RECIPE=$3 SOURCES=$4 IMAGE_SOURCES=$5
export RECIPE IMAGE_SOURCES

# Unpacking is mostly small files: in memory it takes 14 s, on a disk 23 s. It needs about 0.5 GB.
free=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
[ "$free" -lt 2048 ] || mount -t tmpfs -o mode=755,size=1g tmpfs "$work" 2>/dev/null || true

# A small host has perl without its modules; those were unpacked with mmdebstrap.
for modules in "$tools"/usr/share/perl5 "$tools"/usr/share/perl/* "$tools"/usr/lib/*/perl/*; do
    [ ! -d "$modules" ] || PERL5LIB="$modules${PERL5LIB:+:$PERL5LIB}"
done
export PERL5LIB="${PERL5LIB:-}"

export TMPDIR="$work" PATH="$tools/usr/bin:$PATH" LC_ALL=C
# ca-certificates and netbase are what the official images of Python add to Debian, too.
exec perl "$tools/usr/bin/mmdebstrap" --mode=root --variant=minbase --format=tar \
    --include=ca-certificates,netbase,tzdata \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
    --hook-dir="$tools/usr/share/mmdebstrap/hooks/merged-usr" \
    --setup-hook='sh "$RECIPE/setup.sh" "$1"' \
    --customize-hook='sh "$RECIPE/customize.sh" "$1"' \
    --skip=output/dev \
    bookworm - "$SOURCES"
