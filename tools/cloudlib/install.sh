# shellcheck shell=bash
# Installs packages from Debian, and OpenStack from PyPI into a virtual environment
# in the state directory.

# The virtual environment needs these. They come first, so that pip can run while
# apt installs the others.
APT_FIRST=(python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev
    ca-certificates iproute2 procps)
APT_REST=(mariadb-server rabbitmq-server openssl sasl2-bin libsasl2-modules
    libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients
    cpio genisoimage dosfstools mtools bindfs busybox-static kmod
    varnish haproxy nftables curl git)

# From backports. Under emulation, QEMU before 9.0 loses some writes of a guest while
# it copies the memory ("physmem: Fix migration dirty bitmap coherency with TCG
# memory access"). Guests come out of a migration damaged.
APT_QEMU=(qemu-system-x86 qemu-system-common qemu-system-data qemu-utils seabios)
QEMU_AT_LEAST=1:9.0
BACKPORTS_LIST=/etc/apt/sources.list.d/cachemig-cloud.list

PIP_PACKAGES=('nova==34.0.0' 'keystone==30.0.0' 'glance==33.0.0'
    'neutron==29.0.0' 'openstack-placement==16.0.0' 'SQLAlchemy<2.1'
    python-openstackclient PyMySQL libvirt-python waitress)

apt_missing() {
    local package
    for package in "$@"; do
        # NAME/RELEASE names a release: apt decides.
        if [[ $package == */* ]] || ! dpkg-query -W -f '${db:Status-Status}\n' \
            "$package" 2> /dev/null | grep -qx installed; then
            echo "$package"
        fi
    done
}

apt_install() {
    local missing
    mapfile -t missing < <(apt_missing "$@")
    ((${#missing[@]})) || return 0
    # Debian starts the daemons that it installs. The cloud starts its own.
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

qemu_missing() {
    local found
    found=$(dpkg-query -W -f '${Version}' qemu-system-x86 2> /dev/null) || found=0
    dpkg --compare-versions "${found:-0}" lt "$QEMU_AT_LEAST" || return 1
}

# Debian's backports, from the mirror that this machine already uses.
add_backports() {
    local release mirror
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # apt expands these names itself.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | awk -v r="$release" '$2 == r && $3 == "main" { print $1; exit }')
    [[ -n $mirror ]] || die "apt knows no mirror of Debian $release"
    QEMU_RELEASE=$release-backports
    # shellcheck disable=SC2016
    if ! apt-get indextargets --format '$(RELEASE)' | grep -qx "$QEMU_RELEASE"; then
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $QEMU_RELEASE main" \
            > "$BACKPORTS_LIST"
    fi
    apt-get update -q -o DPkg::Lock::Timeout=600 -o APT::Get::List-Cleanup=0 \
        -o Dir::Etc::sourcelist="$BACKPORTS_LIST" -o Dir::Etc::sourceparts=-
}

apt_rest() {
    local packages=("${APT_REST[@]}") name
    if qemu_missing; then
        add_backports
        for name in "${APT_QEMU[@]}"; do packages+=("$name/$QEMU_RELEASE"); done
    fi
    apt_install "${packages[@]}"
}

apt_lists() {  # are they recent?
    [[ -n $(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -2 2> /dev/null | head -n 1) ]] \
        || apt-get update -q -o DPkg::Lock::Timeout=600
}

install_first() {
    local missing
    missing=$(apt_missing "${APT_FIRST[@]}" "${APT_REST[@]}" "${APT_QEMU[@]}")
    if [[ -z $missing ]] && ! qemu_missing; then return 0; fi
    say "apt: installing $(wc -w <<< "$missing") packages"
    job apt-first apt_first
    join_jobs apt-first
    job apt apt_rest
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

# pip builds in the source directory, so the project is installed from a copy. pbr
# takes the list of files from git, so the copy is a git repository.
install_project() {
    local copy=$CM_STATE/src hash version
    if [[ ! -f $CM_REPO/setup.cfg ]]; then
        say "the project has no setup.cfg: not installed"
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
    PBR_VERSION=$version "$CM_BIN/pip" install -q --upgrade \
        "${copy}[agent,scheduler,forecaster,plot]"
    mark_done project "$hash"
}
