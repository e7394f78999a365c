# shellcheck shell=bash
# The cloud's own CA, and one certificate for each host.

pki_wanted() { [[ -n $BUS_TLS || -n $LIBVIRT_PKI ]]; }

make_pki() {
    local host
    pki_wanted && [[ ! -s $CM_CA ]] || return 0
    mkdir -p "$CM_PKI"
    (umask 077 && pki_key ca)
    openssl req -x509 -new -key "$CM_PKI/ca.key" -days 3650 -subj '/CN=cachemig cloud CA' \
        -addext 'basicConstraints = critical,CA:TRUE' \
        -addext 'keyUsage = critical,keyCertSign,cRLSign' -out "$CM_CA.new"
    for host in control compute{1..9}; do pki_certificate "$host"; done
    mv "$CM_CA.new" "$CM_CA"
}

pki_key() {  # NAME
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$CM_PKI/$1.key"
}

pki_certificate() {  # HOST
    (umask 077 && pki_key "$1")
    openssl req -new -key "$CM_PKI/$1.key" -subj "/CN=$1" \
        | openssl x509 -req -CA "$CM_CA.new" -CAkey "$CM_PKI/ca.key" -CAcreateserial -days 3650 \
            -extfile <(echo "subjectAltName = DNS:$1, IP:$(cm_ip "$1")
extendedKeyUsage = serverAuth, clientAuth") -out "$CM_PKI/$1.pem" 2> /dev/null
}

# The directories in which libvirt and QEMU look for certificates, below a host's /etc/pki.
hypervisor_pki() {  # HOST
    local pki=$CM_STATE/$1/fs/etc/pki kind
    [[ -n $LIBVIRT_PKI ]] || return 0
    mkdir -p "$pki"/{CA,libvirt/private,qemu}
    cp "$CM_CA" "$pki/CA/cacert.pem"
    cp "$CM_CA" "$pki/qemu/ca-cert.pem"
    for kind in server client; do
        cp "$CM_PKI/$1.pem" "$pki/libvirt/${kind}cert.pem"
        cp "$CM_PKI/$1.key" "$pki/libvirt/private/${kind}key.pem"
        cp "$CM_PKI/$1.pem" "$pki/qemu/$kind-cert.pem"
        cp "$CM_PKI/$1.key" "$pki/qemu/$kind-key.pem"
    done
}
