#!/bin/bash
# Unpack packages of another Debian release into a directory. Nothing is installed, and the host's
# sources and packages stay as they are. For the scripts tools/other-*.

# ROOT RELEASE PATTERN PACKAGE…: of the packages that these need, those whose names match PATTERN.
unpack_release() {
    local root=$1 release=$2 pattern=$3 apt=$1/.apt packages package
    shift 3
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,etc/{apt.conf,preferences}.d,debs}
    : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian $release main" >"$apt/etc/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::Etc "$apt/etc/";
Dir::Etc::sourceparts "-";
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
    APT_CONFIG=$apt/apt.conf apt-get -qq update
    packages=$(APT_CONFIG=$apt/apt.conf apt-get -s install "$@" |
        awk -v pattern="$pattern" '$1 == "Inst" && $2 ~ pattern && $2 !~ /^libp(am|ython)|-dev$/ {print $2}')
    # shellcheck disable=SC2086  # a list of names
    (cd "$apt/debs" && APT_CONFIG=$apt/apt.conf apt-get -qq download $packages)
    for package in "$apt"/debs/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    rm -rf "$apt"
}

# The host's own loader and libc may be older than an unpacked program needs: those of the release.
libraries_of() { echo "$1/usr/lib/x86_64-linux-gnu"; } # ROOT
loader_of() { echo "$(libraries_of "$1")"/ld-linux-x86-64.so.*; } # ROOT
