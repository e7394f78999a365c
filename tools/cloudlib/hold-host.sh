#!/bin/bash
# The first process of a host. It sets the name and the hosts file and, on a
# compute host, mounts directories for libvirt. Then it sleeps. Processes that are
# started in the host later see the same mounts.
set -euo pipefail
host=$1 state=$2 ready=$3

hostname "$host"
mount --bind "$state/hosts" /etc/hosts

private_dir() {  # PATH: mount a directory of this host over PATH
    local own=$state/$host/fs$1
    mkdir -p "$own" "$1"
    mount --bind "$own" "$1"
}

case $host in
    compute*)
        for dir in /run/libvirt /etc/libvirt /var/lib/libvirt /var/log/libvirt \
            /var/cache/libvirt; do
            private_dir "$dir"
        done
        ;;
esac

touch "$ready"
exec sleep infinity
