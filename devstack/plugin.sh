#!/bin/bash
#
# plugin.sh - DevStack plugin of nova-cachemig
#
#   enable_plugin nova-cachemig <repository>
#
# A host without n-cpu, n-sch, rabbit and nova-cachemig-agent installs nothing.

# shellcheck source=devstack/lib/nova-cachemig
source "$NOVA_CACHEMIG_DIR/devstack/lib/nova-cachemig"

if [[ "$1" == "stack" && "$2" == "install" ]]; then
    if nova_cachemig_wanted_here; then
        echo_summary "Installing nova-cachemig"
        install_nova_cachemig
    fi
elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
    if nova_cachemig_wanted_here; then
        echo_summary "Configuring nova-cachemig"
        configure_nova_cachemig
    fi
elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
    if is_service_enabled nova-cachemig-agent; then
        echo_summary "Starting nova-cachemig-agent"
        start_nova_cachemig
    fi
elif [[ "$1" == "unstack" ]]; then
    stop_nova_cachemig
elif [[ "$1" == "clean" ]]; then
    cleanup_nova_cachemig
fi
