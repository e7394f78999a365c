# shellcheck shell=bash
# The cache node: the project's agent, which drives HAProxy and Varnish itself.

AGENT_DIR=$CM_STATE/cache/nova-cachemig
# The agent, HAProxy and Varnish run under an account with the capabilities that their systemd unit
# grants (etc/systemd). A number suffices as its name.
EDGE_ID=987
EDGE_CAPABILITIES=-all,+net_bind_service,+net_admin,+net_raw
EDGE_ACCOUNT=(setpriv --reuid "$EDGE_ID" --regid "$EDGE_ID" --clear-groups --no-new-privs
    --bounding-set "$EDGE_CAPABILITIES" --inh-caps "$EDGE_CAPABILITIES"
    --ambient-caps "$EDGE_CAPABILITIES" env HOME="$AGENT_DIR/state")

configure_agent() {
    local conf=$AGENT_DIR/nova-cachemig.conf.new
    mkdir -p "$AGENT_DIR"
    own_by_edge "$AGENT_DIR/state"
    own_by_edge "$AGENT_DIR/run"
    install -d -m 2750 -g "$EDGE_ID" "$AGENT_DIR/services.d"
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
    chgrp "$EDGE_ID" "${conf%.new}"
    chmod 640 "${conf%.new}"
}

# A state directory of an earlier version of this script belongs to root.
own_by_edge() {  # DIRECTORY
    install -d -m 700 "$1"
    chown -R "$EDGE_ID:$EDGE_ID" "$1"
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
    daemon_start cache agent "${EDGE_ACCOUNT[@]}" "$CM_BIN/nova-cachemig-agent" \
        --config-file "$AGENT_DIR/nova-cachemig.conf"
}
