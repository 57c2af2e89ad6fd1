# Certificates: the chart's own between roles, a mounted Secret for people, renewed in mid-show.
# shellcheck shell=bash

scenario_tls() {
    uninstall
    local origin edge before pod
    authority
    certificate first
    kubectl create secret tls people --cert "$WORK/first.crt" --key "$WORK/first.key" >/dev/null
    install_chart --set internalTls.enabled=true --set tls.existingSecret=people --set 'edgePools[1].service.ports.https=444'
    await 30 "the origin's address" has_address "$NAME-origin"
    origin=$(address_of "$NAME-origin")
    edge=$(address_of "$NAME-edge-b")

    # Claims, pulls and placements go between roles; ffmpeg does not ask who has issued a certificate.
    encoder 1 "rtmps://$origin:1936/live/sealed"
    await 60 "the picture over HTTPS" plays_sealed "$edge" 444 60000
    say "pushed over RTMPS, played over HTTPS, with certificates between roles"

    pod=$(an origin)
    if curl --silent --max-time 5 "http://$(pod_address "$pod"):7000/internal/v1/default/live/sealed" >"$WORK/plain"; then
        fail "the internal port of $pod answers who shows no certificate: $(head -c 200 "$WORK/plain")"
    fi
    say "the internal port answers nobody without a certificate"

    before=$(internal_secret)
    install_chart --set internalTls.enabled=true --set tls.existingSecret=people --set 'edgePools[1].service.ports.https=444'
    [[ $(internal_secret) == "$before" ]] || fail "an upgrade made new certificates between roles"
    say "an upgrade keeps the certificates that the chart made"

    certificate second
    background "$LAB/enter" 3 curl --silent --cacert "$WORK/ca.crt" --resolve "play.example.com:444:$edge" \
        --output "$WORK/viewer.flv" https://play.example.com:444/live/sealed.flv
    kubectl create secret tls people --cert "$WORK/second.crt" --key "$WORK/second.key" --dry-run=client -o yaml |
        kubectl apply --filename - >/dev/null 2>&1
    # The kubelet looks at Secrets about once a minute.
    await 150 "the renewed certificate" shows_certificate "$edge" 444 "$WORK/second.crt"
    kill -0 "${children[-1]}" || fail "the viewer was cut by the renewal"
    say "a renewed certificate is shown to newcomers, and a viewer stays"
    stop_children TERM
    kubectl delete secret people >/dev/null
    uninstall
}

# An authority of the test's own, in $WORK/ca.crt.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=test authority" \
        -keyout "$WORK/ca.key" -out "$WORK/ca.crt" 2>/dev/null
}

# certificate NAME: a pair for play.example.com that the authority has issued.
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=play.example.com" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
    openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" -CAcreateserial -days 30 \
        -extfile <(echo subjectAltName=DNS:play.example.com) -out "$WORK/$1.crt" 2>/dev/null
}

internal_secret() { kubectl get secret "$NAME-internal-tls" -o jsonpath='{.data}' | sha256sum; }

# plays_sealed ADDRESS PORT BYTES: whether a picture comes to a client that checks the certificate.
plays_sealed() {
    local got
    got=$(near 3 curl --silent --no-buffer --max-time 5 --cacert "$WORK/ca.crt" --resolve "play.example.com:$2:$1" \
        "https://play.example.com:$2/live/sealed.flv" | head -c "$3" | wc -c)
    ((got >= $3))
}

# shows_certificate ADDRESS PORT FILE: whether every edge of the Service shows it, as far as ten handshakes tell.
shows_certificate() {
    local number shown expected
    expected=$(openssl x509 -in "$3" -noout -serial)
    for ((number = 0; number < 10; number++)); do
        shown=$(near 3 openssl s_client -connect "$1:$2" -servername play.example.com </dev/null 2>/dev/null |
            openssl x509 -noout -serial)
        [[ $shown == "$expected" ]] || return 1
    done
}
