#!/bin/sh
# The engine starts this in place of docker-proxy, once for each published port, with docker-proxy's
# arguments. It makes the port answer on the loopback of the host too, which is another network
# namespace; docker-proxy itself does the work there. Protocol (moby, cmd/docker-proxy): "0" or
# "1" and an error, written to file descriptor 3 when the port is bound or can't be.
set -u
folder=$(dirname "$(readlink -f "$0")")
. "$folder/proxy.env"

proto=; host_ip=; host_port=; container_ip=; container_port=; previous=
for word in "$@"; do
    case $previous in
        -proto) proto=$word ;;
        -host-ip) host_ip=$word ;;
        -host-port) host_port=$word ;;
        -container-ip) container_ip=$word ;;
        -container-port) container_port=$word ;;
    esac
    previous=$word
done

fail() {
    printf '1\n%s' "$1" >&3
    exit 1
}

# Start a further docker-proxy that ends with this process; wait until it is bound.
helper() {
    status="$folder/proxy-$$-$1"
    shift
    mkfifo "$status" || fail "no pipe could be made in $folder"
    setpriv --pdeathsig TERM "$@" 3> "$status" 4<&- > /dev/null 2>&1 &
    code=; message=
    { IFS= read -r code; IFS= read -r message; } < "$status"
    rm -f "$status"
    [ "$code" = 0 ] || fail "${message:-the port could not be bound}"
}

if [ "$proto" = tcp ]; then
    case $host_ip in
        127.*)
            # The engine forwards this port on its own loopback only; lead the link's address to it.
            helper inner "$ENGINE_PROXY" -proto tcp -host-ip "$ENGINE_ADDRESS" \
                -host-port "$host_port" -container-ip "$container_ip" -container-port "$container_port"
            ;;
    esac
    case $host_ip in
        0.0.0.0 | 127.*)
            helper outer nsenter --net="$ENGINE_FOLDER/hostnet" "$ENGINE_PROXY" -proto tcp \
                -host-ip 127.0.0.1 -host-port "$host_port" \
                -container-ip "$ENGINE_ADDRESS" -container-port "$host_port"
            ;;
    esac
fi
exec "$ENGINE_PROXY" "$@"
