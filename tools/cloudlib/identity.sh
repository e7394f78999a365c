# shellcheck shell=bash
# Keystone, its catalogue, and the helpers that every API shares.

KEYSTONE_URL=http://$CM_CONTROL_IP:5000/v3
REGION=RegionOne

# Every service has the same few lines on how to ask Keystone.
auth_lines() {
    cat << CONF
auth_type = password
auth_url = $KEYSTONE_URL
username = service
password = $(secret)
project_name = service
user_domain_name = Default
project_domain_name = Default
region_name = $REGION
CONF
}

# Without its type, a service refuses a token of an application credential with access rules, also
# when another service forwards it.
authtoken_section() {  # TYPE
    echo '[keystone_authtoken]'
    auth_lines
    cat << CONF
service_type = $1
www_authenticate_uri = $KEYSTONE_URL
service_token_roles = service
service_token_roles_required = true
CONF
}

configure_keystone() {
    local dir=$CM_STATE/control/keystone
    mkdir -p "$dir/fernet" "$dir/credential"
    cat > "$dir/keystone.conf" << CONF
[DEFAULT]
log_file =
use_stderr = true
[database]
connection = $(db_url keystone)
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = $dir/fernet
[credential]
key_repository = $dir/credential
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
# Passwords are random here; the hash need not be slow.
password_hash_rounds = 4
CONF
}

init_keystone() {
    is_done keystone && return 0
    local conf=$CM_STATE/control/keystone/keystone.conf
    local manage=(in_host control "$CM_BIN/keystone-manage" --config-file "$conf")
    "${manage[@]}" fernet_setup --keystone-user root --keystone-group root
    "${manage[@]}" db_sync
    "${manage[@]}" bootstrap --bootstrap-password "$(secret)" \
        --bootstrap-region-id "$REGION" \
        --bootstrap-public-url "$KEYSTONE_URL" \
        --bootstrap-internal-url "$KEYSTONE_URL" \
        --bootstrap-admin-url "$KEYSTONE_URL"
    mark_done keystone
}

start_keystone() {
    start_wsgi keystone 5000 OS_KEYSTONE_CONFIG_FILES="$CM_STATE/control/keystone/keystone.conf"
}

start_wsgi() {  # SERVICE PORT [VARIABLE=VALUE...]
    local service=$1 port=$2
    shift 2
    daemon_start control "$service" env "$@" \
        "$CM_BIN/python" "$CM_LIB/wsgi.py" "$service" "$CM_CONTROL_IP" "$port"
    wait_daemon "control.$service" 120 port_open control "$CM_CONTROL_IP" "$port"
}

write_openrc() {
    (umask 077 && cat > "$CM_OPENRC" << CONF
export OS_AUTH_URL=$KEYSTONE_URL
export OS_USERNAME=admin
export OS_PASSWORD=$(secret)
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_DOMAIN_NAME=Default
export OS_REGION_NAME=$REGION
export OS_IDENTITY_API_VERSION=3
export OS_COMPUTE_API_VERSION=2.96
export PATH=$CM_BIN:\$PATH
CONF
    )
}

register_services() {
    is_done register && return 0
    with_openrc control "$CM_BIN/python" "$CM_LIB/register.py" \
        "$CM_CONTROL_IP" "$(secret)" "$REGION"
    mark_done register
}

with_openrc() {  # HOST COMMAND...: as the cloud's administrator
    local host=$1
    shift
    (
        # shellcheck disable=SC1090
        . "$CM_OPENRC"
        in_host "$host" "$@"
    )
}
