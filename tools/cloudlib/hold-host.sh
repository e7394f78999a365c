#!/bin/bash
# The first process of a host: HOST STATE READY DIRECTORY... It sets the name and the
# hosts file, and mounts directories of the host's own over the directories. Then it
# sleeps. Processes that are started in the host later see the same mounts.
set -euo pipefail
host=$1 state=$2 ready=$3
shift 3

hostname "$host"
mount --bind "$state/hosts" /etc/hosts

private_dir() {  # PATH: mount a directory of this host over PATH
    local own=$state/$host/fs$1
    mkdir -p "$own" "$1"
    mount --bind "$own" "$1"
}

for dir in "$@"; do private_dir "$dir"; done
# Services of OpenStack keep the names of their queues here, by the name of the host.
mount -t tmpfs tmpfs /dev/shm

touch "$ready"
exec sleep infinity
