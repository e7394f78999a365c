#!/bin/bash
# Runs as the first process of a host: gives it its own name, hosts file and,
# on a compute, its own directories of libvirt; then sleeps.
# What is mounted here is seen by all that is started in the host later.
set -euo pipefail
host=$1 state=$2 ready=$3

hostname "$host"
mount --bind "$state/hosts" /etc/hosts

private_dir() {  # PATH: a directory of this host's own in place of PATH
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
