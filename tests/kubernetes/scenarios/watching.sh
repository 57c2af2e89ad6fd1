# A real Prometheus scrapes every pod: each query of the dashboard has an answer, and alerts fire when they should.
# shellcheck shell=bash

PROMETHEUS=127.0.0.1:19090

scenario_watching() {
    fresh
    local origin tools
    origin=$(address_of "$NAME-origin")
    tools=$(tests/kubernetes/prometheus)
    "$tools/promtool" check rules charts/headwater/files/rules.yaml >"$WORK/promtool" || fail "$(<"$WORK/promtool")"
    "$tools/promtool" test rules tests/kubernetes/rules.test.yaml >"$WORK/promtool" 2>&1 || fail "$(<"$WORK/promtool")"
    say "every alert fires and is quiet as its test says"
    show_begins "$origin" 3
    prometheus "$tools"
    await 60 "a sample of every pod" all_are_scraped
    dashboard_has_data

    policy nowhere '{streams: [{app: live, name: nowhere}], placement: {regions: [mars]}}' | kubectl apply --filename - >/dev/null
    await 20 "the policy's status" marked nowhere Placeable "add origins there"
    background "$LAB/enter" 1 "$RIG" push --picture-bytes 400 "rtmp://$origin/live/nowhere"
    await 60 "the alert HeadwaterPlacedNowhere" fires HeadwaterPlacedNowhere
    stop "${children[-1]}"
    kubectl delete streampolicy nowhere >/dev/null
    kubectl scale "deployment/$NAME-operator" --replicas 0 >/dev/null
    await 120 "the alert HeadwaterNoOperator" fires HeadwaterNoOperator
    await 60 "the alert HeadwaterMemberAlone" fires HeadwaterMemberAlone
    say "alerts fired: HeadwaterPlacedNowhere, HeadwaterNoOperator, HeadwaterMemberAlone"
    kubectl scale "deployment/$NAME-operator" --replicas 2 >/dev/null
    ready 60
    await 60 "the end of the alert HeadwaterNoOperator" quiet HeadwaterNoOperator
    show_ends
}

# prometheus TOOLS: on this machine, which has routes to all pods. Debian's has no discovery by the API server, so it reads
# from a file which pods there are.
prometheus() {
    # shellcheck disable=SC2016 # the inner shell expands these
    background bash -c '
        while :; do
            kubectl get pods -l "app.kubernetes.io/instance=$0" -o json | jq "[.items[]
                | select(.status.podIP and .metadata.deletionTimestamp == null)
                | {targets: [.status.podIP + \":9190\"], labels: {pod: .metadata.name}}]" >"$1.new" && mv "$1.new" "$1"
            sleep 1
        done' "$RELEASE" "$WORK/targets.json"
    cp charts/headwater/files/rules.yaml "$WORK/rules.yaml"
    cat >"$WORK/prometheus.yaml" <<YAML
global: {scrape_interval: 2s, evaluation_interval: 2s}
rule_files: [$WORK/rules.yaml]
scrape_configs:
  - job_name: headwater
    file_sd_configs: [{files: [$WORK/targets.json], refresh_interval: 1s}]
YAML
    "$1/promtool" check config "$WORK/prometheus.yaml" >"$WORK/promtool" 2>&1 || fail "$(<"$WORK/promtool")"
    background "$1/prometheus" --config.file="$WORK/prometheus.yaml" --storage.tsdb.path="$WORK/tsdb" \
        --web.listen-address="$PROMETHEUS" --log.level=warn
    await 20 "Prometheus" curl --silent --fail "http://$PROMETHEUS/-/ready"
}

# answers QUERY: how many series its answer has.
answers() {
    curl --silent --get --data-urlencode "query=$1" "http://$PROMETHEUS/api/v1/query" | jq '.data.result | length'
}

all_are_scraped() {
    local pods
    pods=$(kubectl get pods -l "app.kubernetes.io/instance=$RELEASE" --field-selector=status.phase=Running -o name | wc -l)
    (($(answers 'up{job="headwater"} == 1') == pods))
}

dashboard_has_data() {
    local query queries
    mapfile -t queries < <(jq -r '.panels[].targets[]?.expr' charts/headwater/files/dashboard.json)
    ((${#queries[@]} > 10)) || fail "the dashboard has ${#queries[@]} queries"
    for query in "${queries[@]}"; do
        await 30 "data for the dashboard's query $query" has_data "$query"
    done
    say "all ${#queries[@]} queries of the dashboard have data"
}

has_data() { (($(answers "$1") > 0)); }

# fires ALERT: it is firing now.
fires() { (($(answers "ALERTS{alertname=\"$1\",alertstate=\"firing\"}") > 0)); }
quiet() { ! fires "$1"; }
