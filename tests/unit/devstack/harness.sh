#!/bin/bash
# Runs phases of the DevStack plug-in: harness.sh PHASE...  A phase is "stack/install" or "unstack".
#
# CACHEMIG_DEVSTACK names a checkout of DevStack: its own functions are used. Without it, these are
# stand-ins with the same signatures. Programs that change the system are recorded in $ROOT/log in
# both cases.
set -eu
ROOT=${ROOT:?} ENABLED_SERVICES=${ENABLED_SERVICES:?} DISABLED_SERVICES=${DISABLED_SERVICES:-}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)

# Variables that stack.sh sets. The names are DevStack's.
# shellcheck disable=SC2034
{
    DEST=$ROOT/dest DATA_DIR=$ROOT/data NOVA_CONF=$ROOT/nova.conf STACK_USER=stack
    SYSTEMD_DIR=$ROOT/systemd SYSTEMCTL="sudo systemctl" KILL_PATH=/bin/kill
    SERVICE_PASSWORD=service-secret SERVICE_PROJECT_NAME=service SERVICE_DOMAIN_NAME=Default
    REGION_NAME=RegionOne KEYSTONE_SERVICE_URI=http://192.0.2.10/identity
    RABBIT_HOST=192.0.2.10 RABBIT_PASSWORD=rabbit-secret RABBIT_USERID=stackrabbit
    NOVA_CACHEMIG_DIR=$repo NOVA_CACHEMIG_CONF_DIR=$ROOT/etc GLOBAL_VENV=False
}

if [[ -n ${CACHEMIG_DEVSTACK:-} ]]; then
    set +u
    TOP_DIR=$CACHEMIG_DEVSTACK
    # shellcheck source=/dev/null
    source "$TOP_DIR/functions"
    # shellcheck source=/dev/null
    source "$TOP_DIR/lib/rpc_backend"
else
    # shellcheck source=tools/cloudlib/common.sh
    source "$repo/tools/cloudlib/common.sh"
    is_service_enabled() {
        local service
        for service in "$@"; do
            [[ ,$ENABLED_SERVICES, == *,$service,* ]] && return 0
        done
        return 1
    }
    enable_service() {
        [[ ,$DISABLED_SERVICES, == *,$1,* ]] || ENABLED_SERVICES+=,$1
    }
    get_python_exec_prefix() { echo /usr/local/bin; }
    run_process() { record run_process "$@"; }
    stop_process() { record stop_process "$@"; }
fi

record() { echo "$*" >> "$ROOT/log"; }
echo_summary() { record "$*"; }
setup_develop() { record setup_develop "$@"; }
install_package() { record install_package "$@"; }
create_service_user() { record create_service_user "$@"; }

# Accounts do not exist here: "install" gets no owner.
sudo() {
    record sudo "$@"
    case $1 in
        systemctl | systemd-sysusers | */nova-cachemig-manage) ;;
        rabbitmqctl) [[ $2 != -q ]] || cat "$ROOT/rabbit.$3" ;;
        install)
            local arguments=("$1")
            shift
            while (($#)); do
                case $1 in
                    -o | -g) shift ;;
                    *) arguments+=("$1") ;;
                esac
                shift
            done
            "${arguments[@]}"
            ;;
        *) "$@" ;;
    esac
}

source "$repo/devstack/settings"
for phase in "$@"; do
    IFS=/ read -r -a words <<< "$phase"
    source "$repo/devstack/plugin.sh" "${words[0]}" "${words[1]:-}"
done
