# shellcheck shell=bash
# How Nova migrates: its options, and the presets that give known blackouts.

# name, default: each is [libvirt] live_migration_NAME
MIGRATION_OPTIONS=(bandwidth:0 downtime:500 downtime_steps:10
    downtime_delay:75 permit_post_copy:false timeout_action:abort
    completion_timeout:800)

migration_section() {  # continues [libvirt]
    local entry name
    for entry in "${MIGRATION_OPTIONS[@]}"; do
        name=${entry%%:*}
        echo "live_migration_$name = $(cm_setting "migration_$name" "${entry#*:}")"
    done
}
