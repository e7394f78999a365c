# shellcheck shell=bash
# The cache node: the project's agent, which drives HAProxy and Varnish itself.

AGENT_DIR=$CM_STATE/cache/nova-cachemig

configure_agent() {
    local conf=$AGENT_DIR/nova-cachemig.conf.new
    mkdir -p "$AGENT_DIR/state" "$AGENT_DIR/services.d"
    (umask 077 && : > "$conf")
    NOVA_CACHEMIG_AUTH_URL=$KEYSTONE_URL \
        NOVA_CACHEMIG_USERNAME=service \
        NOVA_CACHEMIG_PASSWORD=$(secret) \
        NOVA_CACHEMIG_PROJECT_NAME=service \
        NOVA_CACHEMIG_REGION_NAME=$REGION \
        nova_cachemig_configure_agent "$conf" "$(rabbit_url)" \
        "$AGENT_DIR/state" "$AGENT_DIR/services.d" "$AGENT_DIR/run"
    install_conf "${conf%.new}"
}

start_agent() {
    if [[ ! -x $CM_BIN/nova-cachemig-agent ]]; then
        say "nova-cachemig-agent is not installed yet: the cache node runs nothing"
        return 0
    fi
    daemon_start cache agent "$CM_BIN/nova-cachemig-agent" \
        --config-file "$AGENT_DIR/nova-cachemig.conf"
}
