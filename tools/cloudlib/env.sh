# shellcheck shell=bash
# The paths of the cloud and the names of its hosts. A script that uses a cloud of
# tools/cloud sources this file.

CM_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CM_REPO=$(cd "$CM_LIB/../.." && pwd)
CM_STATE=${CACHEMIG_CLOUD_DIR:-/var/lib/cachemig-cloud}
# Network namespaces are NAME-control, NAME-compute1... A second cloud on the same
# machine needs another directory and another name.
CM_NS=${CACHEMIG_CLOUD_NS:-cm}
CM_VENV=$CM_STATE/venv
CM_BIN=$CM_VENV/bin
CM_OPENRC=$CM_STATE/openrc
CM_INSTANCES=$CM_STATE/instances

CM_PREFIX=10.77.0
CM_CIDR=$CM_PREFIX.0/24
CM_GUEST_FIRST=$CM_PREFIX.100
CM_GUEST_LAST=$CM_PREFIX.199
CM_CONTROL_IP=$CM_PREFIX.10
CM_CACHE_IP=$CM_PREFIX.20
CM_CLIENT_IP=$CM_PREFIX.30
# Large frames: an emulated guest has no network card that segments large packets, as real
# machines have.
CM_MTU=9000
# Additional addresses of the cache node, on which services listen.
CM_FRONT_IPS=("$CM_PREFIX".2{1..9})

# The certificates of the profiles with TLS.
CM_PKI=$CM_STATE/pki
CM_CA=$CM_PKI/ca.pem

export CM_LIB CM_REPO CM_CA CM_STATE CM_NS CM_VENV CM_BIN CM_OPENRC CM_INSTANCES CM_CIDR
export CM_PREFIX CM_GUEST_FIRST CM_GUEST_LAST CM_CONTROL_IP CM_CACHE_IP
export CM_CLIENT_IP CM_FRONT_IPS CM_MTU

# Settings of `up` are stored in small files, for later calls.
cm_setting() {  # NAME DEFAULT
    local file=$CM_STATE/settings/$1
    if [[ -r $file ]]; then cat "$file"; else echo "$2"; fi
}

cm_save_setting() {  # NAME VALUE
    mkdir -p "$CM_STATE/settings"
    echo "$2" > "$CM_STATE/settings/$1"
}

# A profile is a file of settings: those of a deployment tool, and how nova-cachemig is enabled
# there.
cm_load_profile() {
    # shellcheck source=/dev/null
    . "$CM_LIB/profiles/plain.sh"
    # shellcheck source=/dev/null
    . "$CM_LIB/profiles/$(cm_setting profile plain).sh"
}

cm_profiles() { basename -as .sh "$CM_LIB"/profiles/*.sh; }

cm_computes() {
    local n i
    n=$(cm_setting computes "${COMPUTES:-2}")
    for ((i = 1; i <= n; i++)); do echo "compute$i"; done
}

cm_hosts() {
    echo control
    cm_computes
    echo cache
    echo client
}

cm_ip() {  # HOST
    case $1 in
        control) echo "$CM_CONTROL_IP" ;;
        cache) echo "$CM_CACHE_IP" ;;
        client) echo "$CM_CLIENT_IP" ;;
        compute[1-9]) echo "$CM_PREFIX.$((10 + ${1#compute}))" ;;
        *) return 1 ;;
    esac
}
