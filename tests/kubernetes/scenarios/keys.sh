# Signing keys that a StreamPolicy gives its streams, from a Secret.
# shellcheck shell=bash

scenario_keys() {
    fresh
    install_chart --set 'operator.kubernetes.keySecrets={lesson-keys}'
    can get secrets/lesson-keys || fail "the operator may not read the Secret that is listed for it"
    local verb
    for verb in list watch update; do
        if can "$verb" secrets/lesson-keys; then fail "the operator may $verb the Secret, which it need not"; fi
    done
    if can get secrets/another; then fail "the operator may read a Secret that is not listed"; fi
    local origin edge signed key=a-key-of-the-lessons
    origin=rtmp://$(address_of "$NAME-origin")/live
    edge=http://$(pod_address "$(an edge)"):8080/live
    policy lessons '{streams: [{app: live, name: "lesson-*"}], keySecret: {name: lesson-keys}}' | kubectl apply --filename - >/dev/null
    await 20 "the mark on a policy without its Secret" marked lessons Keys "there is no Secret lesson-keys"
    await 20 "the refusal while there are no keys" answers_with 503 "$edge/lesson-1.flv"
    answers_with 404 "$edge/other.flv" || fail "another stream's viewers are refused, too"

    kubectl create secret generic lesson-keys --from-literal=publish="$key" --from-literal=play="$key" >/dev/null
    await 30 "the keys" holds lessons Keys
    await 20 "the refusal without a signature" answers_with 401 "$edge/lesson-1.flv"
    if "$LAB/enter" 1 timeout 5 "$RIG" push --picture-bytes 400 "$origin/lesson-1" </dev/null >"$WORK/unsigned" 2>&1; then
        fail "a publisher without a signature was taken"
    fi
    grep -q "signed address is needed" "$WORK/unsigned" || fail "the refusal does not say what is needed: $(<"$WORK/unsigned")"
    background "$LAB/enter" 1 "$RIG" push --picture-bytes 400 "$origin/lesson-1?$(signature "$key" publish)"
    await 20 "the signed stream" ledgers_have 1
    await 20 "its picture for a signed viewer" plays 1 "$edge/lesson-1.flv?$(signature "$key" play)" 5000
    answers_with 403 "$edge/lesson-1.flv?$(signature another-key play)" || fail "a signature by another key was taken"

    # A new key is in force without a restart, and who is on stays.
    kubectl create secret generic lesson-keys --from-literal=publish="$key" --from-literal=play=the-next-key --dry-run=client -o yaml |
        kubectl apply --filename - >/dev/null 2>&1
    await 30 "the picture for a viewer with the new key" plays 1 "$edge/lesson-1.flv?$(signature the-next-key play)" 5000
    answers_with 403 "$edge/lesson-1.flv?$(signature "$key" play)" || fail "the old key still opens"
    ledgers_have 1 || fail "the publisher did not stay"
    say "a policy's keys come from its Secret: refused without them, signed addresses work, a new key is in force at once"

    policy lessons '{streams: [{app: live, name: "lesson-*"}], keySecret: {name: not-listed}}' | kubectl apply --filename - >/dev/null
    await 20 "the mark on a Secret that the operator may not read" marked lessons Keys "operator.kubernetes.keySecrets"
    kubectl delete streampolicy lessons >/dev/null
    await 20 "an open stream without the policy" plays 1 "$edge/lesson-1.flv" 5000
    kubectl delete secret lesson-keys >/dev/null
    stop_children KILL
    say "a Secret that is not the operator's to read is named with what to do"
}

# signature KEY PURPOSE: the parameters of an address of lesson-1, for an hour.
signature() {
    local end=$(($(date +%s) + 3600))
    printf 'hwExpires=%s&hwSign=%s' "$end" \
        "$(printf '%s\ndefault/live/lesson-1\n%s' "$2" "$end" | openssl dgst -sha256 -hmac "$1" -r | cut -d' ' -f1)"
}

# answers_with STATUS URL
answers_with() {
    [[ $(near 1 curl --silent --max-time 2 --output /dev/null --write-out '%{http_code}' "$2") == "$1" ]]
}

# holds POLICY CONDITION
holds() { [[ $(condition_of "$1" "$2") == True ]]; }
