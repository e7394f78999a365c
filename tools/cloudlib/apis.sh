# shellcheck shell=bash
# Placement, Glance and the Neutron API.

configure_placement() {
    local dir=$CM_STATE/control/placement
    mkdir -p "$dir"
    {
        cat << CONF
[DEFAULT]
use_stderr = true
[api]
auth_strategy = keystone
[placement_database]
connection = $(db_url placement)
CONF
        authtoken_section placement
    } > "$dir/placement.conf"
}

init_placement() {
    is_done placement && return 0
    in_host control "$CM_BIN/placement-manage" --config-file \
        "$CM_STATE/control/placement/placement.conf" db sync
    mark_done placement
}

start_placement() {
    start_wsgi placement 8778 OS_PLACEMENT_CONFIG_DIR="$CM_STATE/control/placement"
}

configure_glance() {
    local dir=$CM_STATE/control/glance
    mkdir -p "$dir"/{images,staging,tasks}
    cp "$CM_VENV/etc/glance/glance-api-paste.ini" "$dir/"
    {
        cat << CONF
[DEFAULT]
use_stderr = true
enabled_backends = files:file
enabled_import_methods = []
worker_self_reference_url = http://$CM_CONTROL_IP:9292
[database]
connection = $(db_url glance)
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = $dir/images
[os_glance_staging_store]
filesystem_store_datadir = $dir/staging
[os_glance_tasks_store]
filesystem_store_datadir = $dir/tasks
[paste_deploy]
flavor = keystone
config_file = $dir/glance-api-paste.ini
CONF
        authtoken_section image
    } > "$dir/glance-api.conf"
}

init_glance() {
    is_done glance && return 0
    in_host control "$CM_BIN/glance-manage" --config-file \
        "$CM_STATE/control/glance/glance-api.conf" db_sync
    mark_done glance
}

start_glance() {
    start_wsgi glance 9292 OS_GLANCE_CONFIG_DIR="$CM_STATE/control/glance"
}

configure_neutron() {
    local dir=$CM_STATE/control/neutron
    mkdir -p "$dir/plugins/cachemig_flat-1.0.dist-info"
    cp "$CM_VENV/etc/neutron/api-paste.ini" "$dir/"
    {
        cat << CONF
[DEFAULT]
use_stderr = true
state_path = $dir
api_paste_config = $dir/api-paste.ini
transport_url = $(rabbit_url "$BUS_VHOST")
core_plugin = ml2
global_physnet_mtu = $CM_MTU
service_plugins = router
auth_strategy = keystone
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
dns_domain = cloud.local.
[oslo_concurrency]
lock_path = $dir/lock
[database]
connection = $(db_url neutron)
[ml2]
type_drivers = flat
tenant_network_types =
mechanism_drivers = cachemig_flat
extension_drivers =
[ml2_type_flat]
flat_networks = physnet1
[securitygroup]
enable_security_group = false
CONF
        bus_section
        authtoken_section network
    } > "$dir/neutron.conf"
    neutron_driver "$dir/plugins"
}

# ML2 finds drivers by entry point: a directory on the path with a module and
# the few lines of metadata that name it.
neutron_driver() {  # DIRECTORY
    cp "$CM_LIB/neutron/cachemig_flat.py" "$1/"
    printf 'Metadata-Version: 2.1\nName: cachemig-flat\nVersion: 1.0\n' \
        > "$1/cachemig_flat-1.0.dist-info/METADATA"
    printf '[neutron.ml2.mechanism_drivers]\ncachemig_flat = cachemig_flat:FlatDriver\n' \
        > "$1/cachemig_flat-1.0.dist-info/entry_points.txt"
}

init_neutron() {
    is_done neutron && return 0
    in_host control "$CM_BIN/neutron-db-manage" --config-file \
        "$CM_STATE/control/neutron/neutron.conf" upgrade heads
    mark_done neutron
}

start_neutron() {
    local dir=$CM_STATE/control/neutron
    start_wsgi neutron 9696 OS_NEUTRON_CONFIG_DIR="$dir" \
        OS_NEUTRON_CONFIG_FILES=neutron.conf PYTHONPATH="$dir/plugins"
}
