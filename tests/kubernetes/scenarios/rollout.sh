# Changes in mid-show: an upgrade, restarts of each role, more and fewer pods, a node that is emptied.
# shellcheck shell=bash

scenario_rollout() {
    fresh
    local origin role
    origin=$(address_of "$NAME-origin")
    show_begins "$origin" 6
    "$LAB/image" headwater:next "$PROGRAM" /headwater >/dev/null

    changed "helm upgrade to another tag" 2 helm_next
    for role in deployment/$NAME-operator deployment/$NAME-edge-a statefulset/$NAME-origin; do
        changed "rollout restart of $role" 1 restart "$role"
    done
    changed "more origins and edges" 0 helm_next --set origin.replicaCount=5 --set-json 'edgePools[0].replicaCount=4'
    changed "fewer origins and edges" 1 helm_next --set origin.replicaCount=2 --set-json 'edgePools[0].replicaCount=2'
    # Two edges of a pool may be there: who leaves the first may reach the second.
    changed "drain of node2" 2 drain_node2
    kubectl uncordon node2 >/dev/null
    show_ends
}

helm_next() {
    helm upgrade "$RELEASE" charts/headwater --values tests/kubernetes/values.yaml --set image.tag=next "$@" >/dev/null
    settled 180
}

restart() {
    kubectl rollout restart "$1" >/dev/null
    settled 180
}

# The pods' budgets are asked for each eviction; a budget that is broken would show as two missing pods.
drain_node2() {
    kubectl drain node2 --ignore-daemonsets --delete-emptydir-data --timeout=180s >"$WORK/drain" 2>&1 ||
        fail "node2 was not emptied: $(tail -3 "$WORK/drain")"
    settled 180
}

# show_begins ORIGIN STREAMS [NODES]: encoders near NODES (all) that come back when they are cut, and viewers who do the
# same and write down what they got.
show_begins() {
    local n show
    local -a at
    read -ra at <<<"${3:-1 2 3}"
    SHOW_STREAMS=$2
    SHOWS=$((${SHOWS:-0} + 1))
    # Names of their own: what an edge still holds of an earlier show is not taken for this one.
    show=show$SHOWS-
    mkdir -p "$WORK/show"
    for ((n = 1; n <= SHOW_STREAMS; n++)); do
        if ((n == 1)); then
            encoder 1 "rtmp://$1/live/$show$n"
        else
            background "$LAB/enter" "${at[n % ${#at[@]}]}" "$RIG" push --picture-bytes 1000 "rtmp://$1/live/$show$n"
        fi
    done
    await 60 "the show's streams" ledgers_have "$SHOW_STREAMS"
    for ((n = 1; n <= SHOW_STREAMS; n++)); do
        viewer $((n % 2 + 1)) "http://$NAME-edge-a/live/$show$n.flv" "$WORK/show/a$n"
        viewer 3 "http://$NAME-edge-b:81/live/$show$n.flv" "$WORK/show/b$n"
    done
    await 60 "a picture for every viewer" all_watch
    SHOW_CONNECTIONS=$(connections)
}

all_watch() {
    local count
    count=$(for pod in $(pods edge); do admin "$pod" /streams | jq '[.edge[].viewers] | add // 0'; done | awk '{ sum += $1 } END { print sum }')
    ((count >= 2 * SHOW_STREAMS))
}

# viewer NODE URL PREFIX: a strict viewer; each connection has a record of its own, PREFIX.1, PREFIX.2, ...
viewer() {
    background bash -c '
        n=0
        while :; do
            n=$((n + 1))
            echo "$(date +%s%3N) $n" >>"$4.connections"
            RUST_BACKTRACE=0 "$0" "$1" "$2" watch --record "$4.$n" "$3" >>"$4.log" 2>&1
            sleep 0.2
        done' "$LAB/enter" "$1" "$RIG" "$2" "$3"
}

connections() { cat "$WORK"/show/*.connections 2>/dev/null | wc -l; }

# changed WHAT MOST COMMAND...: no viewer connects again more than MOST times, not all in one second, and the picture is
# back for all.
changed() {
    local what=$1 most=$2 began_ms before file again worst=0 often=
    shift 2
    began_ms=$(now_ms)
    declare -A before
    for file in "$WORK"/show/*.connections; do before[$file]=$(wc -l <"$file"); done
    "$@"
    await 60 "the picture after: $what" all_watch
    await 30 "all streams after: $what" ledgers_have "$SHOW_STREAMS"
    for file in "$WORK"/show/*.connections; do
        again=$(($(wc -l <"$file") - before[$file]))
        if ((again > worst)); then
            worst=$again
            often=$(tail -n $((2 * again)) "$file" "${file%.connections}.log")
        fi
    done
    say "$what: $((($(now_ms) - began_ms) / 1000)) s, viewers connected again at most $worst times"
    ((worst <= most)) || fail "$what: a viewer had to connect again $worst times, more than $most: $often"
    local all same
    read -r all same < <(crowd "$began_ms")
    ((all < 4 || same < all)) || fail "$what: all $all viewers connected again within one second"
}

# crowd SINCE_MS: how often viewers have connected since then, and how often in the second with the most.
crowd() {
    cat "$WORK"/show/*.connections | awk -v since="$1" '
        $1 >= since { all++; second = int($1 / 1000); if (++count[second] > most) most = count[second] }
        END { print all + 0, most + 0 }'
}

# Everything that every viewer got is an unbroken run, connection by connection.
show_ends() {
    local file broken=0
    # A viewer that is told to end writes its record.
    stop_children TERM
    for file in "$WORK"/show/*.[0-9]*; do
        # Bodies of a real encoder carry no numbers.
        if [[ $file == */show/[ab]1.* ]]; then continue; fi
        # Asked again before the stream was back, or told to end at once.
        [[ -s $file ]] || continue
        if ! "$RIG" account "$file" >"$WORK/account" 2>&1; then
            say "$(basename "$file"): $(head -1 "$WORK/account")"
            broken=$((broken + 1))
        fi
    done
    rm -rf "$WORK/show"
    ((broken == 0)) || fail "$broken connections of viewers were not gap-free"
    say "every connection of every viewer was gap-free"
}
