#!/bin/sh
# After the packages: this machine's certificate authorities, apt for containers, no litter.
set -eu
cd "$1"

# The essential packages were unpacked before dpkg knew what to leave out.
find usr/share/doc -mindepth 2 ! -type d ! -name copyright -delete
find usr/share/doc -depth -type d -empty -delete
rm -rf usr/share/man/* usr/share/info/* usr/share/locale/* usr/share/lintian

# Where a proxy of this machine's network signs what is fetched, the image must trust it, too.
mkdir -p usr/local/share/ca-certificates
for authority in /usr/local/share/ca-certificates/*.crt; do
    [ -e "$authority" ] || continue
    cp "$authority" usr/local/share/ca-certificates/
    chmod 644 "usr/local/share/ca-certificates/${authority##*/}"
done
chroot . update-ca-certificates >/dev/null

# apt: packages and indexes are not kept in a layer, nor translations; nobody answers questions.
rm -f etc/apt/sources.list etc/apt/sources.list.d/* etc/apt/apt.conf.d/99mmdebstrap
install -m 644 "$IMAGE_SOURCES" etc/apt/sources.list.d/debian.sources
cat > etc/apt/apt.conf.d/docker-layers <<'END'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Apt::AutoRemove::SuggestsImportant "false";
END

# No service starts while packages are installed in a build.
printf '#!/bin/sh\nexit 101\n' > usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d

# This machine's names; the engine mounts its own over these.
rm -f etc/resolv.conf etc/hostname
rm -rf var/cache/apt/*.bin var/log/*.log var/log/apt/* var/cache/debconf/*-old var/lib/dpkg/*-old
