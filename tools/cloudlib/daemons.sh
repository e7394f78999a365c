# shellcheck shell=bash
# Daemons. The pid file `HOST.SERVICE.pid` contains the pid and the start time (in
# ticks, then in seconds since 1970). So a reused pid never gets a signal.

pid_file() { echo "$CM_STATE/run/$1.pid"; }
log_file() { echo "$CM_STATE/log/$1.log"; }

start_time() {  # PID: field 22 of stat, counted after the command's name
    local stat field
    stat=$(cat "/proc/$1/stat" 2> /dev/null) || return 1
    read -ra field <<< "${stat##*) }"
    echo "${field[19]}"
}

daemon_pid() {  # NAME: prints the pid if the process is alive
    local pid began
    [[ -r $(pid_file "$1") ]] || return 1
    read -r pid began _ < "$(pid_file "$1")" || return 1
    [[ $(start_time "$pid") == "$began" ]] || return 1
    # A zombie counts as gone.
    [[ $(cut -d' ' -f3 < "/proc/$pid/stat" 2> /dev/null) != Z ]] || return 1
    echo "$pid"
}

daemon_start() {  # HOST SERVICE COMMAND...
    local host=$1 service=$2 name=$1.$2 pid
    shift 2
    daemon_pid "$name" > /dev/null && return 0
    mkdir -p "$CM_STATE/run" "$CM_STATE/log"
    (
        # The daemon must not keep the lock of `up`.
        [[ -z ${CM_LOCK_FD:-} ]] || exec {CM_LOCK_FD}>&-
        host_command "$host" "$service"
        exec setsid "${CM_ENTER[@]}" "$@"
    ) >> "$(log_file "$name")" 2>&1 < /dev/null &
    pid=$!
    disown "$pid"
    record_pid "$name" "$pid"
}

record_pid() {  # NAME PID
    echo "$2 $(start_time "$2" || echo gone) $EPOCHSECONDS" > "$(pid_file "$1")"
}

daemon_stop() {  # NAME [SECONDS]: TERM, then KILL
    local pid
    pid=$(daemon_pid "$1") || {
        rm -f "$(pid_file "$1")"
        return 0
    }
    kill -TERM "$pid" 2> /dev/null || true
    if ! wait_until "${2:-10}" daemon_gone "$1"; then
        kill -KILL "$pid" 2> /dev/null || true
        wait_until 5 daemon_gone "$1" || true
    fi
    rm -f "$(pid_file "$1")"
}

daemon_kill() {  # NAME: immediately
    local pid
    pid=$(daemon_pid "$1") || return 0
    kill -KILL "$pid" 2> /dev/null || true
    wait_until 5 daemon_gone "$1" || true
    rm -f "$(pid_file "$1")"
}

daemon_gone() { ! daemon_pid "$1" > /dev/null; }

daemon_names() {
    local file
    for file in "$CM_STATE"/run/*.pid; do
        [[ -e $file ]] || continue
        file=${file##*/}
        echo "${file%.pid}"
    done
}

port_open() {  # HOST ADDRESS PORT
    in_host "$1" bash -c "exec 3<>/dev/tcp/$2/$3"
}

wait_daemon() {  # NAME SECONDS COMMAND...: wait until COMMAND succeeds, or print the log
    local name=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" > /dev/null 2>&1; do
        if daemon_gone "$name" || ((SECONDS >= deadline)); then
            show_log_tail "$(log_file "$name")" "$name"
            daemon_gone "$name" && die "$name ended while starting"
            die "$name is not ready in time"
        fi
        sleep 0.3
    done
}
