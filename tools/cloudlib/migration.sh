# shellcheck shell=bash
# Options of Nova's live migration, and presets with known blackouts.

# name:default, each is [libvirt] live_migration_NAME
MIGRATION_OPTIONS=(bandwidth:0 downtime:500 downtime_steps:10
    downtime_delay:75 permit_post_copy:false timeout_action:abort
    completion_timeout:800)

# A preset sets Nova's first downtime limit (ms), the speed of the link (MiB/s), and
# the guest's writes to memory (MiB/s to an area of MiB). The guest is silent for
# about size / link. The limit is just above that, so that memory copy continues
# until only that area is left.
declare -A PRESETS=(
    [short]='limit=500 link=0 rate=0 size=0 post_copy=false'
    [1s]='limit=1600 link=32 rate=200 size=28 post_copy=false'
    [5s]='limit=6200 link=16 rate=200 size=69 post_copy=false'
    [postcopy]='limit=40 link=32 rate=200 size=28 post_copy=true'
)

migration_section() {  # continues [libvirt]
    local entry name
    for entry in "${MIGRATION_OPTIONS[@]}"; do
        name=${entry%%:*}
        echo "live_migration_$name = $(cm_setting "migration_$name" "${entry#*:}")"
    done
}

is_migration_option() {
    local entry
    for entry in "${MIGRATION_OPTIONS[@]}"; do
        [[ ${entry%%:*} != "$1" ]] || return 0
    done
    return 1
}

cmd_set_migration() {
    local pair name
    for pair in "$@"; do
        name=${pair%%=*}
        [[ $pair == *=* ]] || refuse "set-migration: $pair is not NAME=VALUE"
        if [[ $name == link_speed ]]; then
            cm_save_setting link_speed "${pair#*=}"
            each_compute apply_link_speed
        elif is_migration_option "$name"; then
            cm_save_setting "migration_$name" "${pair#*=}"
        else
            refuse "set-migration: unknown option $name"
        fi
    done
    reconfigure_computes
}

each_compute() {  # FUNCTION
    local host
    for host in $(cm_computes); do "$1" "$host"; done
}

# Nova reads these options when it starts; a SIGHUP changes only a few of them. So
# the compute services whose file has changed are restarted, in parallel.
reconfigure_computes() {
    local host changed=()
    for host in $(cm_computes); do
        configure_nova_compute "$host"
        if [[ -e $(nova_conf "$host").changed ]]; then changed+=("$host"); fi
    done
    ((${#changed[@]} == 0)) || restart_computes "${changed[@]}"
}

cmd_preset() {
    local name=${1:?which preset?} limit link rate size post_copy pair
    [[ -n ${PRESETS[$name]:-} ]] || refuse "preset: one of ${!PRESETS[*]}"
    for pair in ${PRESETS[$name]}; do local "${pair?}"; done
    # With three steps, Nova begins with a third of the limit and raises it after
    # six seconds or later.
    cmd_set_migration "link_speed=$link" bandwidth=0 \
        "downtime=$((limit * 3))" downtime_steps=3 downtime_delay=300 \
        "permit_post_copy=$post_copy"
    cm_save_setting preset "$name"
    server_tool dirty --rate "$rate" --size "$size" ${2:+"$2"}
}
