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
        NOVA_CACHEMIG_CREDENTIAL_ID=$(edge_credential 1) \
        NOVA_CACHEMIG_CREDENTIAL_SECRET=$(edge_credential 2) \
        nova_cachemig_configure_agent "$conf" "$(edge_url)" \
        "$AGENT_DIR/state" "$AGENT_DIR/services.d" "$AGENT_DIR/run"
    local line
    for line in ${BUS_TLS_OPTIONS[@]+"${BUS_TLS_OPTIONS[@]}"}; do
        iniset "$conf" oslo_messaging_rabbit "${line%% = *}" "${line#* = }"
    done
    install_conf "${conf%.new}"
}

edge_credential() {  # FIELD: nothing if the agent has a password
    [[ $EDGE_CREDENTIAL == application ]] || return 0
    cut -d' ' -f"$1" < "$EDGE_CREDENTIAL_FILE"
}

start_agent() {
    if [[ ! -x $CM_BIN/nova-cachemig-agent ]]; then
        say "nova-cachemig-agent is not installed yet: the cache node runs nothing"
        return 0
    fi
    daemon_start cache agent "$CM_BIN/nova-cachemig-agent" \
        --config-file "$AGENT_DIR/nova-cachemig.conf"
}
