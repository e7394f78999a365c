# shellcheck shell=bash
# The guest: Debian's cloud kernel, started directly, with an initramfs of busybox
# and one static C server. The machine itself installs none of it.

KERNEL_DIR=$CM_STATE/kernel
GUEST_DIR=$CM_STATE/guest
GUEST_MODULES=(virtio_pci virtio_net virtio_blk ata_piix sr_mod isofs vfat
    nls_ascii nls_cp437 nls_iso8859-1 nls_utf8)

fetch_kernel() {
    is_done kernel && return 0
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    [[ -n $package ]] || die "Debian's list has no linux-image-cloud-amd64"
    rm -rf "$KERNEL_DIR"
    mkdir -p "$KERNEL_DIR/tree"
    (cd "$KERNEL_DIR" && apt-get download -q -o APT::Sandbox::User=root "$package" \
        && dpkg -x "$package"_*.deb tree && rm -f ./*.deb)
    mv "$KERNEL_DIR"/tree/boot/vmlinuz-* "$KERNEL_DIR/vmlinuz"
    mark_done kernel
}

guest_hash() {
    cat "$CM_LIB"/guest/* "$CM_LIB"/{guest.sh,images.py} | sha1sum | cut -c1-12
}

build_guest() {
    is_done guest "$(guest_hash)" && return 0
    local root=$GUEST_DIR/root
    rm -rf "$GUEST_DIR"
    mkdir -p "$root"/{bin,modules,config,proc,sys,dev,tmp}
    gcc -D_GNU_SOURCE -std=gnu11 -O2 -Wall -Wextra -pthread -static -s \
        -o "$root/bin/guestd" "$CM_LIB"/guest/*.c
    cp "$(command -v busybox)" "$root/bin/busybox"
    local tool
    for tool in sh mount umount insmod ip sed head tr sleep echo; do
        ln -s busybox "$root/bin/$tool"
    done
    install -m 755 "$CM_LIB/guest/init" "$root/init"
    copy_modules "$root"
    (cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 > "$GUEST_DIR/initrd"
    qemu-img create -q -f qcow2 "$GUEST_DIR/disk.qcow2" 16M
    mark_done guest "$(guest_hash)"
}

# In loading order, each with its options.
copy_modules() {  # ROOT
    local tree=$KERNEL_DIR/tree release path name module
    release=$(basename "$tree"/lib/modules/*)
    depmod -b "$tree" "$release"
    for module in "${GUEST_MODULES[@]}"; do
        modprobe -d "$tree" -S "$release" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' \
        | while read -r path; do
            name=$(basename "$path")
            cp "$path" "$1/modules/"
            # Without a checksum of its own the user-space switch passes the
            # guest's segments on unfinished.
            [[ $name != virtio_net.ko ]] || name+=' csum=0 gso=0'
            echo "$name"
        done > "$1/modules/list"
}

upload_guest() {
    local hash
    hash=$(guest_hash)
    is_done images "$hash $CM_MTU" && return 0
    with_openrc control "$CM_BIN/python" "$CM_LIB/images.py" \
        "$KERNEL_DIR/vmlinuz" "$GUEST_DIR" "$hash" \
        "$CM_CIDR" "$CM_GUEST_FIRST" "$CM_GUEST_LAST" "$CM_MTU"
    mark_done images "$hash $CM_MTU"
}
