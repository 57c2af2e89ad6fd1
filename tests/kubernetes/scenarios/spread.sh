# Thirty streams over three origins and four edges in two regions: where each one lives, and how often it is pulled.
# shellcheck shell=bash

SPREAD_STREAMS=30

scenario_spread() {
    fresh
    local origin n at
    origin=$(address_of "$NAME-origin")
    for ((n = 1; n <= SPREAD_STREAMS; n++)); do
        at=$((n % 3 + 1))
        if ((n <= 3)); then
            encoder "$at" "rtmp://$origin/live/s$n"
        else
            background "$LAB/enter" "$at" "$RIG" push --picture-bytes 400 "rtmp://$origin/live/s$n"
        fi
    done
    await 60 "all $SPREAD_STREAMS streams in the ledgers" ledgers_have "$SPREAD_STREAMS"
    say "$SPREAD_STREAMS streams are live"

    # ceil(1.25 x streams / origins): the last placement saw one less.
    local cap=$(((SPREAD_STREAMS * 5 + 11) / 12)) operator listing pod
    operator=$(an operator)
    listing=$(admin "$operator" /streams)
    local homeless
    homeless=$(jq -r '[.operator[] | select((.homes | length) != 1)] | length' <<<"$listing")
    ((homeless == 0)) || fail "$homeless streams have not one home"
    for pod in $(pods origin); do
        n=$(jq --arg pod "$pod." '[.operator[] | select(.homes[0] | startswith($pod))] | length' <<<"$listing")
        say "$pod is home of $n, at most $cap"
        ((n <= cap)) || fail "$pod is home of $n streams, more than $cap"
        # What the operator says is what the origin does.
        local own
        own=$(admin "$pod" /streams | jq '[.origin[] | select(.role | contains("home"))] | length')
        [[ $own == "$n" ]] || fail "$pod says that it is home of $own streams, the operator says $n"
    done

    local edges edge
    mapfile -t edges < <(pods edge)
    ((${#edges[@]} == 4)) || fail "${#edges[@]} edges run, not 4"
    for edge in "${edges[@]}"; do
        at=$(pod_address "$edge")
        local urls=()
        for ((n = 1; n <= SPREAD_STREAMS; n++)); do urls+=(--output /dev/null "http://$at:8080/live/s$n.flv"); done
        background "$LAB/enter" 1 curl --silent --parallel --parallel-immediate --parallel-max 60 --max-time 200 "${urls[@]}"
        await 60 "every stream at $edge" edges_carry "$SPREAD_STREAMS" "$edge"
    done
    await 60 "every stream at every edge" edges_carry "$SPREAD_STREAMS" "${edges[@]}"
    say "every edge plays every stream, with one pull each"
    # An edge passes over one that is late by 400 ms, and comes back to it.
    say "pulls into the other region, by how many a stream: $(crossings "${edges[@]}")"
    await 60 "one pull of each stream into the other region" cross_once "${edges[@]}"
    stop_children KILL

    viewers_land_near
    placement_follows_policy "$origin"
}

# The edges' lists have all streams, each live and with one source.
edges_carry() {
    local count=$1 edge
    shift
    for edge in "$@"; do
        [[ $(admin "$edge" /streams | jq '[.edge[] | select(.state == "live" and .upstream != null)] | length') == "$count" ]] ||
            return 1
    done
}

region_of() {
    local node
    node=$(kubectl get pod "$1" -o jsonpath='{.spec.nodeName}')
    kubectl get node "$node" -o jsonpath='{.metadata.labels.topology\.kubernetes\.io/region}'
}

# How many edges of the region without its home pull a stream from an origin, counted over the streams.
crossings() {
    local operator edge all region
    operator=$(an operator)
    all=$(admin "$operator" /members | jq '[.operator.members[] | {key: .id, value: .site.region}] | from_entries')
    for edge in "$@"; do
        region=$(region_of "$edge")
        admin "$edge" /streams | jq -c --arg region "$region" '.edge[] | {key, region: $region, upstream}'
    done >"$WORK/pulls"
    admin "$operator" /streams |
        jq --compact-output --argjson regions "$all" --slurpfile pulls "$WORK/pulls" '
            [.operator[] | . as $stream
                | [$regions[$stream.homes[0]], $regions[$stream.ingress.member]] as $has
                | ("region-a", "region-b") | select(. as $other | $has | index($other) | not) as $other
                | [$pulls[] | select(.key == $stream.key and .region == $other and (.upstream | endswith(":7000")))] | length]
            | group_by(.) | map({key: (.[0] | tostring), value: length}) | from_entries'
}

# Asking some dozens of times a second would keep the machine from what is waited for.
cross_once() {
    sleep 3
    [[ $(crossings "$@" | jq --compact-output keys) == '["1"]' ]]
}

# A viewer in a zone with an edge of the pool gets that edge, by the Service's name.
viewers_land_near() {
    local node zone edge here=
    for node in 1 2; do
        zone=$(kubectl get node "node$node" -o jsonpath='{.metadata.labels.topology\.kubernetes\.io/zone}')
        here=
        for edge in $(pods edge | grep -- '-edge-a-'); do
            if [[ $(kubectl get pod "$edge" -o jsonpath='{.spec.nodeName}') == "node$node" ]]; then here=$edge; fi
        done
        [[ -n $here ]] || fail "pool a has no edge on node$node"
        local before after _
        before=$(accepted "$here")
        for _ in 1 2 3 4 5 6; do
            near "$node" curl --silent --max-time 5 --output /dev/null "http://$NAME-edge-a/nothing.flv" || true
        done
        after=$(accepted "$here")
        ((after - before == 6)) || fail "$((after - before)) of 6 viewers in $zone came to its own edge"
        say "viewers in $zone land on $here"
    done
}

accepted() {
    admin "$1" /metrics | awk '/^headwater_process_accepted_connections_total\{port="http"/ { print $2 }'
}

# A StreamPolicy keeps homes in its zone, is in force at once and says what it does.
placement_follows_policy() {
    local origin=$1 home
    kubectl apply --filename - >/dev/null <<'YAML'
apiVersion: headwater.dev/v1alpha1
kind: StreamPolicy
metadata: {name: far}
spec:
  streams: [{app: live, name: "far-*"}]
  placement: {zones: [zone-b1]}
  onDuplicate: refuse
  mode: rtc
YAML
    await 20 "the policy's status" accepted_policy far
    local n
    for n in 1 2 3; do background "$LAB/enter" 1 "$RIG" push --picture-bytes 400 "rtmp://$origin/live/far-$n"; done
    await 20 "three streams in the ledgers" ledgers_have 3
    admin "$(an operator)" /streams | jq -r '.operator[].homes[0]' | sort -u >"$WORK/homes"
    home=$(<"$WORK/homes")
    [[ $(wc -l <"$WORK/homes") == 1 && $(region_of "${home%%.*}") == region-b ]] || fail "the homes are $home, not in zone-b1"
    await 20 "three matched streams" matches far 3
    # Refused from another address: the one that is on stays.
    if near 3 timeout 10 ffmpeg -hide_banner -loglevel error -re -f lavfi -i "testsrc2=size=160x90:rate=25" -c:v libx264 \
        -preset ultrafast -f flv "rtmp://$origin/live/far-1" </dev/null >"$WORK/second" 2>&1; then
        fail "a second publisher of far-1 was taken, against the policy"
    fi
    stop_children KILL
    say "the policy holds: homes in its zone, second publishers refused"
    kubectl delete streampolicy far >/dev/null
}

condition_of() {
    kubectl get streampolicy "$1" -o jsonpath="{.status.conditions[?(@.type==\"$2\")].status}"
}
accepted_policy() { [[ $(condition_of "$1" Accepted) == True ]]; }
matches() { [[ $(kubectl get streampolicy "$1" -o jsonpath='{.status.matchedStreams}') == "$2" ]]; }
