#!/bin/sh
# Runs as root, in the engine's own network, process and mount namespaces.
set -eu
on_host() { nsenter --net="$ENGINE_FOLDER/hostnet" "$@"; }

ip link set lo up
on_host ip link add "$ENGINE_LINK" mtu "$ENGINE_MTU" type veth peer name eth0 mtu "$ENGINE_MTU" netns $$
on_host ip addr add "$ENGINE_GATEWAY/30" dev "$ENGINE_LINK"
on_host ip link set "$ENGINE_LINK" up
ip addr add "$ENGINE_ADDRESS/30" dev eth0
ip link set eth0 up
ip route add default via "$ENGINE_GATEWAY"
# The engine gives ports from here (moby, libnetwork/portallocator); this network's own, not the host's.
echo "$ENGINE_PORTS" > /proc/sys/net/ipv4/ip_local_port_range
# Connections to published ports are made from these few, too: a closed one keeps its port for a second, not for
# sixty, or 800 requests in a minute would be all (Linux, ip-sysctl, tcp_tw_reuse).
echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse

# /sys shows the network of whoever mounted it; the engine waits for its bridge to appear there. The
# control groups, mounted below /sys, stay as they are.
mkdir -p "$ENGINE_FOLDER/exec/cgroup"
mount --rbind /sys/fs/cgroup "$ENGINE_FOLDER/exec/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$ENGINE_FOLDER/exec/cgroup" /sys/fs/cgroup
umount -l "$ENGINE_FOLDER/exec/cgroup"

# A resolver on the host's loopback can't be reached from here: use those that it asks itself.
if ! grep -q '^nameserver' /etc/resolv.conf || ! grep '^nameserver' /etc/resolv.conf | grep -qv 'nameserver[[:space:]]*127\.'; then
    if [ -f /run/systemd/resolve/resolv.conf ]; then
        mount --bind /run/systemd/resolve/resolv.conf /etc/resolv.conf
    else
        echo "every nameserver in /etc/resolv.conf is on this machine's loopback: images can't be pulled" >&2
    fi
fi

# containerd keeps its shims' sockets in /run/containerd whatever its settings are: hide the host's.
mkdir -p /run/containerd
mount -t tmpfs -o mode=0711 tmpfs /run/containerd

exec dockerd --config-file "$ENGINE_FOLDER/daemon.json"
