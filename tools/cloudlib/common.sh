# shellcheck shell=bash
# Progress, errors, ini files and waiting: used by all other files.

CM_T0=${CM_T0:-$EPOCHSECONDS}
export CM_T0

say() { printf '[%4d s] %s\n' "$((EPOCHSECONDS - CM_T0))" "$*" >&2; }

die() {
    printf 'cloud: %s\n' "$*" >&2
    exit 1
}

# For wrong arguments.
refuse() {
    printf 'cloud: %s\n' "$*" >&2
    exit 2
}

need_root() { [[ $EUID -eq 0 ]] || die "must be run as root"; }

# A step that is done once per state directory leaves a marker. It contains the
# step's input, so that a changed input repeats the step.
is_done() { [[ -f $CM_STATE/done/$1 && $(< "$CM_STATE/done/$1") == "${2:-}" ]]; }

mark_done() {
    mkdir -p "$CM_STATE/done"
    echo "${2:-}" > "$CM_STATE/done/$1"
}

secret() {
    if [[ ! -s $CM_STATE/secret ]]; then
        (umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' > "$CM_STATE/secret")
    fi
    cat "$CM_STATE/secret"
}

# ini files. The functions have the signatures of DevStack's, so that
# devstack/lib/nova-cachemig works with both.
iniset() {  # FILE SECTION OPTION VALUE
    ini_edit "$1" "$2" "$3" drop "$4"
}

iniadd() {  # FILE SECTION OPTION VALUE: one more line of a multi-valued option
    ini_edit "$1" "$2" "$3" keep "$4"
}

ini_edit() {  # FILE SECTION OPTION keep|drop VALUE
    local file=$1 tmp
    mkdir -p "$(dirname "$file")"
    [[ -f $file ]] || : > "$file"
    tmp=$(mktemp "$file.XXXX")
    awk -v section="[$2]" -v option="$3" -v mode="$4" -v line="$3 = $5" '
        function put() { if (inside && !written) { print line; written = 1 } }
        /^\[/ { put(); inside = ($0 == section) }
        inside && mode == "drop" {
            split($0, part, /[ \t]*=/)
            if (part[1] == option) next
        }
        inside && $0 == line { next }
        { print }
        $0 == section && mode == "drop" { put() }
        END {
            put()
            if (!written) { print section; print line }
        }' "$file" > "$tmp"
    chmod --reference="$file" "$tmp"
    mv "$tmp" "$file"
}

show_log_tail() {  # FILE LABEL
    [[ -s $1 ]] || return 0
    printf -- '--- the end of the log of %s (%s)\n' "$2" "$1" >&2
    tail -n 25 "$1" >&2
    printf -- '---\n' >&2
}

wait_until() {  # SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.3
    done
}

# Jobs run in parallel. Each has its own log, which is printed only if it fails.
CM_JOBS=()

job() {  # LABEL COMMAND...
    local label=$1 log
    shift
    log=$CM_STATE/log/job.$label.log
    mkdir -p "$CM_STATE/log"
    (
        began=$EPOCHSECONDS
        "$@"
        say "$label took $((EPOCHSECONDS - began)) s"
    ) > "$log" 2>&1 &
    CM_JOBS+=("$!:$label")
}

join_jobs() {  # waits for the jobs with these labels, or for all jobs
    local entry pid label left=() failed=()
    for entry in "${CM_JOBS[@]}"; do
        pid=${entry%%:*} label=${entry#*:}
        if (($#)) && [[ " $* " != *" $label "* ]]; then
            left+=("$entry")
        elif ! wait "$pid"; then
            failed+=("$label")
        fi
    done
    CM_JOBS=(${left[@]+"${left[@]}"})
    ((${#failed[@]})) || return 0
    for label in "${failed[@]}"; do
        show_log_tail "$CM_STATE/log/job.$label.log" "$label"
    done
    die "failed: ${failed[*]}"
}
