# What dies, and who notices: all operators, the control plane; a node, the network of a node.
# shellcheck shell=bash

scenario_failures() {
    fresh
    local origin
    origin=$(address_of "$NAME-origin")
    operators_die "$origin"
    control_plane_dies "$origin"
}

scenario_nodes() {
    fresh
    local origin
    origin=$(address_of "$NAME-origin")
    node_loses_power "$origin"
    node_is_cut_off "$origin"
    # Pods have fled from nodes, and do not go back by themselves.
    uninstall
}

# Streams go on, others start and end, and new viewers find them: `work` is what stays true meanwhile.
work() {
    local origin=$1 name=$2
    background "$LAB/enter" 1 "$RIG" push --picture-bytes 400 "rtmp://$origin/live/$name"
    await 20 "the picture of $name" plays 1 "http://$(pod_address "$EDGE"):8080/live/$name.flv" 5000
    stop "${children[-1]}"
    unset 'children[-1]'
}

operators_die() {
    local origin=$1 again
    show_begins "$origin" 4
    EDGE=$(an edge)
    kubectl scale "deployment/$NAME-operator" --replicas 0 >/dev/null
    kubectl delete pods -l "app.kubernetes.io/instance=$RELEASE,app.kubernetes.io/component=operator" --force --grace-period=0 >/dev/null 2>&1
    local until_ms=$(($(now_ms) + 60000)) n=0
    while (($(now_ms) < until_ms)); do
        n=$((n + 1))
        work "$origin" "orphan$n"
    done
    say "without any operator for 60 s: $n streams started, played and ended"
    kubectl scale "deployment/$NAME-operator" --replicas 2 >/dev/null
    ready 60
    await 20 "the whole ledger of new operators" ledgers_have 4
    nobody_noticed "all operators gone for 60 s"
}

control_plane_dies() {
    local origin=$1 until_ms n=0
    show_begins "$origin" 4
    EDGE=$(an edge)
    local edge_at
    edge_at=$(pod_address "$EDGE")
    "$LAB/control" stop >/dev/null
    until_ms=$(($(now_ms) + 60000))
    while (($(now_ms) < until_ms)); do
        n=$((n + 1))
        background "$LAB/enter" 1 "$RIG" push --picture-bytes 400 "rtmp://$origin/live/headless$n"
        await 20 "the picture of headless$n" plays 1 "http://$edge_at:8080/live/headless$n.flv" 5000
        stop "${children[-1]}"
        unset 'children[-1]'
    done
    say "without a control plane for 60 s: $n streams started, played and ended"
    "$LAB/control" start >/dev/null
    await 60 "the API server" kubectl get nodes
    ready 60
    nobody_noticed "the control plane gone for 60 s"
}

# Viewers near other nodes are on edges of other nodes: their lines hold. Encoders near the node lose their power with it,
# so there are none.
node_loses_power() {
    local origin=$1 lost=3
    show_begins "$origin" 4 "1 2"
    local before
    before=$(near_connections)
    "$LAB/node" stop "$lost" >/dev/null
    await 60 "a picture for the viewers of the other nodes" near_watch
    await 60 "node$lost to be NotReady" node_is NotReady "$lost"
    say "node$lost lost power; viewers elsewhere connected again $(($(near_connections) - before)) times"
    (($(near_connections) == before)) || fail "viewers of other nodes noticed that node$lost lost power"
    "$LAB/node" start "$lost" >/dev/null
    await 60 "node$lost to be Ready" node_is Ready "$lost"
    kubectl delete pods -l "app.kubernetes.io/instance=$RELEASE" --field-selector "spec.nodeName=node$lost" --force --grace-period=0 >/dev/null 2>&1
    ready 120
    show_ends
}

node_is_cut_off() {
    local origin=$1 cut=2
    show_begins "$origin" 4 "1 3"
    "$LAB/node" cut "$cut" >/dev/null
    await 60 "node$cut to be NotReady" node_is NotReady "$cut"
    "$LAB/node" mend "$cut" >/dev/null
    await 60 "node$cut to be Ready" node_is Ready "$cut"
    ready 120
    await 60 "a picture for every viewer after the cut" all_watch
    # No tag twice, none out of order, no two sessions mixed. What was lost on the cut line is not held against it.
    no_tag_twice
    say "node$cut was cut off and mended; no viewer got a tag twice or out of order"
}

node_is() {
    local status=Unknown
    status=$(kubectl get node "node$2" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')
    if [[ $1 == Ready ]]; then [[ $status == True ]]; else [[ $status != True ]]; fi
}

near_connections() { cat "$WORK"/show/a*.connections | wc -l; }

near_watch() {
    local pod count
    count=$(for pod in $(pods edge | grep -- '-edge-a-'); do admin "$pod" /streams | jq '[.edge[] | select(.state == "live").viewers] | add // 0'; done |
        awk '{ sum += $1 } END { print sum }')
    ((count >= SHOW_STREAMS))
}

# nobody_noticed WHAT: every viewer kept its connection, and it was gap-free.
nobody_noticed() {
    local again=$(($(connections) - SHOW_CONNECTIONS))
    ((again == 0)) || fail "$1: viewers connected again $again times: $(tail -n 3 "$WORK"/show/*.log)"
    show_ends
}

no_tag_twice() {
    local file broken=0
    stop_children TERM
    for file in "$WORK"/show/*.[0-9]*; do
        if [[ $file == */show/[ab]1.* || ! -s $file ]]; then continue; fi
        "$RIG" account "$file" >"$WORK/account" 2>&1 || true
        if ! grep -q 'doubled: 0, disordered: 0' "$WORK/account"; then
            say "$(basename "$file"): $(head -1 "$WORK/account")"
            broken=$((broken + 1))
        fi
    done
    rm -rf "$WORK/show"
    ((broken == 0)) || fail "$broken connections got tags twice or out of order"
}
