# shellcheck shell=bash
# MariaDB on the control host, in its smallest configuration.

MYSQL_DIR=$CM_STATE/control/mysql
MYSQL_SOCKET=$CM_STATE/control/mysql.sock
DATABASES=(keystone placement glance neutron nova_api nova nova_cell0 nova_cell2)

start_mariadb() {
    mkdir -p "$CM_STATE/control"
    if ! is_done mysql-dir; then
        rm -rf "$MYSQL_DIR"
        mariadb-install-db --no-defaults --datadir="$MYSQL_DIR" --user=root \
            --auth-root-authentication-method=normal --skip-test-db > /dev/null
        mark_done mysql-dir
    fi
    # The data is not needed after a crash of the machine, so it need not be durable.
    daemon_start control mariadb mariadbd --no-defaults --user=root \
        --datadir="$MYSQL_DIR" --socket="$MYSQL_SOCKET" \
        --pid-file="$CM_STATE/control/mysql.pid" \
        --bind-address="$CM_CONTROL_IP" --skip-name-resolve \
        --skip-log-bin --performance-schema=OFF --max-connections=400 \
        --innodb-buffer-pool-size=192M --innodb-log-file-size=64M \
        --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 \
        --innodb-flush-method=nosync --innodb-use-native-aio=0 \
        --character-set-server=utf8mb3
    wait_daemon control.mariadb 60 sql 'SELECT 1'
    is_done databases || create_databases
}

sql() { mariadb --no-defaults --socket="$MYSQL_SOCKET" -u root -e "$1"; }

sql_value() { mariadb --no-defaults --socket="$MYSQL_SOCKET" -u root -N -B -e "$1"; }

create_databases() {
    local name statements=''
    for name in "${DATABASES[@]}"; do
        statements+="CREATE DATABASE IF NOT EXISTS $name CHARACTER SET utf8mb3;"
    done
    statements+="CREATE USER IF NOT EXISTS os@'%' IDENTIFIED BY '$(secret)';"
    statements+="GRANT ALL ON *.* TO os@'%';"
    sql "$statements"
    mark_done databases
}

db_url() { echo "mysql+pymysql://os:$(secret)@$CM_CONTROL_IP/$1?charset=utf8"; }
