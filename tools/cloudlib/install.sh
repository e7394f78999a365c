# shellcheck shell=bash
# What comes from Debian and from PyPI. The packages are Debian's; everything of
# OpenStack goes into a virtual environment below the state directory.

# Needed to build the virtual environment: first, so that pip can run while the
# rest is being installed.
APT_FIRST=(python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev
    ca-certificates iproute2 ethtool procps)
APT_REST=(mariadb-server rabbitmq-server
    libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients
    qemu-system-x86 qemu-utils openvswitch-switch
    cpio genisoimage dosfstools bindfs busybox-static kmod
    varnish haproxy nftables curl git)

PIP_PACKAGES=('nova==34.0.0' 'keystone==30.0.0' 'glance==33.0.0'
    'neutron==29.0.0' 'openstack-placement==16.0.0' 'SQLAlchemy<2.1'
    python-openstackclient PyMySQL libvirt-python waitress)

apt_missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2> /dev/null \
            | grep -qx installed || echo "$package"
    done
}

apt_install() {
    local missing
    mapfile -t missing < <(apt_missing "$@")
    ((${#missing[@]})) || return 0
    # Debian starts a daemon when it installs one; ours run elsewhere.
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
        made=1
    fi
    local rc=0
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        -o DPkg::Lock::Timeout=600 --no-install-recommends \
        "${missing[@]}" || rc=$?
    [[ -z $made ]] || rm -f "$policy"
    return "$rc"
}

apt_lists() {  # fresh enough to install from?
    [[ -n $(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -2 2> /dev/null | head -n 1) ]] \
        || apt-get update -q -o DPkg::Lock::Timeout=600
}

install_first() {
    local missing
    missing=$(apt_missing "${APT_FIRST[@]}" "${APT_REST[@]}")
    [[ -n $missing ]] || return 0
    say "apt: installing $(wc -w <<< "$missing") packages"
    job apt-first apt_first
    join_jobs apt-first
    job apt apt_install "${APT_REST[@]}"
}

apt_first() {
    apt_lists
    apt_install "${APT_FIRST[@]}"
}

install_venv() {
    is_done pip "${PIP_PACKAGES[*]}" && return 0
    [[ -x $CM_BIN/pip ]] || /usr/bin/python3 -m venv "$CM_VENV"
    "$CM_BIN/pip" install -q --upgrade pip
    "$CM_BIN/pip" install -q "${PIP_PACKAGES[@]}"
    mark_done pip "${PIP_PACKAGES[*]}"
}

project_files() {
    git -C "$CM_REPO" ls-files -co --exclude-standard -- \
        nova_cachemig setup.cfg setup.py pyproject.toml requirements.txt \
        README.md README.rst LICENSE
}

project_hash() {
    (cd "$CM_REPO" && project_files | LC_ALL=C sort -u \
        | xargs -r -d '\n' sha1sum 2> /dev/null | sha1sum)
}

# Installed from a copy, because pip builds where the source is and others may
# be working there; a repository of its own, because pbr takes the list of
# files from git.
install_project() {
    local copy=$CM_STATE/src hash version
    if [[ ! -f $CM_REPO/setup.cfg ]]; then
        say "the project has no setup.cfg yet: not installed"
        return 0
    fi
    hash=$(project_hash)
    is_done project "$hash" && return 0
    say "installing the project into the cloud's environment"
    rm -rf "$copy"
    mkdir -p "$copy"
    (cd "$CM_REPO" && project_files | xargs -r -d '\n' ls -d 2> /dev/null \
        | tar -cf - -T -) | tar -xf - -C "$copy"
    git -C "$copy" init -q
    git -C "$copy" add -A
    git -C "$copy" -c user.name=cloud -c user.email=cloud@localhost commit -q -m copy
    version=$(git -C "$CM_REPO" describe --tags --abbrev=0 2> /dev/null || echo 0.0.1)
    PBR_VERSION=$version "$CM_BIN/pip" install -q --upgrade "$copy"
    mark_done project "$hash"
}
