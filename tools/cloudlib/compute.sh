# shellcheck shell=bash
# A compute host: a bridge, libvirtd, storage, nova-compute.

# The host's address is on the bridge. The guests' taps and the link are ports of it.
ensure_bridge() {  # HOST
    local ns=$CM_NS-$1
    if ! ip -n "$ns" link show br-int > /dev/null 2>&1; then
        ip -n "$ns" link add br-int type bridge
        ip -n "$ns" link set br-int mtu "$CM_MTU"
        ip -n "$ns" link set eth0 master br-int
        ip -n "$ns" link set br-int up
    fi
    set_address "$ns" br-int "$(cm_ip "$1")"
    apply_link_speed "$1"
}

start_ports() {  # HOST
    daemon_start "$1" ports bash "$CM_LIB/tend-ports.sh"
}

# The link between the hosts. The rate applies only to QEMU's migration traffic. QEMU
# ignores its own limit in the last stage of a pre-copy, so this rate makes the length
# of a blackout repeatable.
apply_link_speed() {  # HOST
    local rate dev=br-int
    rate=$(cm_setting link_speed 0)
    in_host "$1" tc qdisc del dev "$dev" root 2> /dev/null || true
    ((rate > 0)) || return 0
    in_host "$1" tc qdisc add dev "$dev" root handle 1: htb default 0
    in_host "$1" tc class add dev "$dev" parent 1: classid 1:1 htb \
        rate "$((rate * 8388))kbit" burst 64k cburst 64k quantum 15000
    # QEMU's migration ports: 49152-49215.
    in_host "$1" tc filter add dev "$dev" parent 1: protocol ip u32 \
        match ip protocol 6 0xff match ip dport 49152 0xffc0 flowid 1:1
}

start_storage() {  # HOST
    mkdir -p "$CM_INSTANCES" "$CM_STATE/shared" "$CM_STATE/$1/instances"
    if [[ $(cm_setting storage shared) == shared ]]; then
        # libvirt migrates a guest without its disk only on a file system that it
        # knows as shared. This pass-through has such a type.
        daemon_start "$1" storage bindfs -f -o subtype=glusterfs,fsname=x:/y \
            "$CM_STATE/shared" "$CM_INSTANCES"
        wait_daemon "$1.storage" 20 in_host "$1" mountpoint -q "$CM_INSTANCES"
    elif ! in_host "$1" mountpoint -q "$CM_INSTANCES"; then
        in_host "$1" mount --bind "$CM_STATE/$1/instances" "$CM_INSTANCES"
    fi
}

stop_storage() {  # HOST
    in_host "$1" umount -l "$CM_INSTANCES" 2> /dev/null || true
    daemon_stop "$1.storage"
}

start_libvirtd() {  # HOST
    local etc=$CM_STATE/$1/fs/etc/libvirt
    mkdir -p "$etc"
    libvirtd_conf "$1" > "$etc/libvirtd.conf"
    qemu_conf "$1" > "$etc/qemu.conf"
    [[ -z $LIBVIRT_SASL ]] || libvirt_passwords "$1"
    hypervisor_pki "$1"
    daemon_start "$1" libvirtd libvirtd --listen -p /run/libvirt/libvirtd.pid
    wait_daemon "$1.libvirtd" 60 port_open "$1" "$(cm_ip "$1")" "$LIBVIRT_PORT"
}

# The server's account database, and the password that clients on the host find themselves.
libvirt_passwords() {  # HOST
    local etc=$CM_STATE/$1/fs/etc
    mkdir -p "$etc/sasl2"
    printf 'mech_list: %s\nsasldb_path: /etc/libvirt/passwd.db\n' "$LIBVIRT_SASL" \
        > "$etc/sasl2/libvirt.conf"
    secret | in_host "$1" saslpasswd2 -c -p -a libvirt -f /etc/libvirt/passwd.db nova
    (umask 077 && cat > "$etc/libvirt/auth.conf" << CONF
[credentials-default]
authname=nova
password=$(secret)
[auth-libvirt-default]
credentials=default
CONF
    )
}

libvirtd_conf() {  # HOST
    local uuid=$CM_STATE/$1/uuid
    [[ -s $uuid ]] || cat /proc/sys/kernel/random/uuid > "$uuid"
    printf '%s\n' "${LIBVIRTD_OPTIONS[@]}"
    cat << CONF
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "$(< "$uuid")"
# See tools/cloudlib/README.md.
keepalive_interval = -1
CONF
}

qemu_conf() {  # HOST
    cat << CONF
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
# Post-copy needs userfaultfd, which only a privileged QEMU may use here.
clear_emulator_capabilities = 0
migration_address = "$(cm_ip "$1")"
CONF
    printf '%s\n' ${QEMU_OPTIONS[@]+"${QEMU_OPTIONS[@]}"}
}

configure_nova_compute() {  # HOST
    local dir conf format=iso9660
    dir=$(nova_dir "$1") conf=$(nova_conf "$1").new
    mkdir -p "$dir/lock"
    [[ $(cm_setting storage shared) == shared ]] || format=vfat
    {
        nova_common "$1" "$(cell_vhost "$(cell_of "$1")")"
        compute_sections "$1" "$format"
        migration_section
    } > "$conf"
    if product_is_on; then enable_on_compute "$conf"; fi
    install_conf "${conf%.new}"
}

compute_sections() {  # HOST FORMAT
    local helper group
    helper="$CM_BIN/privsep-helper --config-file $(nova_conf "$1")"
    cat << CONF
[DEFAULT]
compute_driver = libvirt.LibvirtDriver
instances_path = $CM_INSTANCES
force_config_drive = true
config_drive_format = $2
vif_plugging_timeout = 0
vif_plugging_is_fatal = false
reserved_host_memory_mb = 512
reserved_host_disk_mb = 0
initial_cpu_allocation_ratio = 16.0
[compute]
live_migration_wait_for_vif_plug = false
[workarounds]
# A block migration fetches the kernel again, and Nova takes it for a bad disk.
disable_deep_image_inspection = true
CONF
    for group in nova_sys_admin privsep_osbrick; do
        printf '[%s]\nhelper_command = %s\n' "$group" "$helper"
    done
    cat << CONF
[libvirt]
virt_type = qemu
cpu_mode = none
mem_stats_period_seconds = 0
live_migration_inbound_addr = $(cm_ip "$1")
CONF
    printf '%s\n' "${LIBVIRT_OPTIONS[@]}"
    # shellcheck disable=SC2059
    [[ -z $LIBVIRT_URI ]] || printf "connection_uri = $LIBVIRT_URI\n" "$(cm_ip "$1")"
}

kernel_has_vfat() {
    grep -qw vfat /proc/filesystems || modprobe -q vfat 2> /dev/null
}

start_nova_compute() {  # HOST
    local path=$PATH
    # A guest for block migration has a config drive with vfat.
    kernel_has_vfat || path=$CM_LIB/fat:$PATH
    daemon_start "$1" nova-compute env PATH="$path" \
        "$CM_BIN/nova-compute" --config-file "$(nova_conf "$1")"
}
