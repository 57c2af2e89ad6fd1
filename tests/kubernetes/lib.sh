# What all scenarios share. Sourced by run.
# shellcheck shell=bash
# shellcheck disable=SC2034 # scenarios use what this file sets

LAB=tests/cluster
RELEASE=hw
NAME=$RELEASE-headwater
WORK=$(mktemp -d "${TMPDIR:-/tmp}/headwater-kubernetes.XXXXXX")
children=()

say() { printf '   %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# await SECONDS WHAT COMMAND...: until COMMAND succeeds.
await() {
    local limit_s=$1 what=$2 end_ms
    shift 2
    end_ms=$(($(now_ms) + limit_s * 1000))
    until "$@" >/dev/null 2>&1; do
        if (($(now_ms) > end_ms)); then fail "$what did not come within $limit_s s"; fi
        sleep 0.2
    done
}

# near NODE COMMAND...: as a client in the network of a node.
near() { "$LAB/enter" "$@"; }

# background COMMAND...: remembered, so that cleanup ends it; its number is in $! and ${children[-1]}.
background() {
    setsid "$@" </dev/null >>"$WORK/background.log" 2>&1 &
    children+=($!)
    # Without the shell's word on how it ended.
    disown
}

# stop_children SIGNAL: ends all of them and waits.
stop_children() {
    local child
    for child in "${children[@]}"; do kill "-$1" -- "-$child" 2>/dev/null || true; done
    for child in "${children[@]}"; do
        await 10 "the end of a process" group_is_gone "$child"
    done
    children=()
}

# What has ended and was not waited for by anybody counts as gone.
group_is_gone() {
    ! cat /proc/[0-9]*/stat 2>/dev/null |
        awk -v group="$1" '{ sub(/.*\) /, "") } $3 == group && $1 !~ /^Z/ { found = 1 } END { exit !found }'
}

# stop PID: ends a process that background started, and its children.
stop() {
    kill -TERM -- "-$1" 2>/dev/null || true
}

cleanup() {
    local child
    for child in "${children[@]}"; do kill -KILL -- "-$child" 2>/dev/null || true; done
    rm -rf "$WORK"
    if [[ -z ${KEEP:-} ]]; then "$LAB/down" >/dev/null 2>&1 || true; fi
}

# What the project ships changes nothing of a running lab but the release.
uninstall() {
    helm uninstall "$RELEASE" --wait --timeout 60s >/dev/null 2>&1 || true
    kubectl delete streampolicies --all --wait=true >/dev/null 2>&1 || true
    kubectl delete pods -l "app.kubernetes.io/instance=$RELEASE" --force --grace-period=0 >/dev/null 2>&1 || true
    await 60 "the end of all pods of the release" no_pods
}

no_pods() { [[ -z $(kubectl get pods -l "app.kubernetes.io/instance=$RELEASE" -o name) ]]; }

# install_chart [ARGS...]: the release with the values of the tests, until all is ready.
install_chart() {
    helm upgrade --install "$RELEASE" charts/headwater --values tests/kubernetes/values.yaml "$@" >"$WORK/notes" ||
        fail "helm did not install the chart"
    ready 60
}

# ready SECONDS: all workloads are rolled out.
ready() {
    local workload
    for workload in $(kubectl get deployments,statefulsets,daemonsets -l "app.kubernetes.io/instance=$RELEASE" -o name); do
        kubectl rollout status "$workload" --timeout="${1}s" >/dev/null || fail "$workload is not ready after $1 s"
    done
}

# settled SECONDS: and the pods that were replaced are gone, so that what they cost their viewers shows.
settled() {
    ready "$1"
    await "$1" "the end of replaced pods" none_ends
}

none_ends() {
    [[ -z $(kubectl get pods -l "app.kubernetes.io/instance=$RELEASE" \
        -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}') ]]
}

address_of() {
    kubectl get service "$1" -o jsonpath='{.status.loadBalancer.ingress[0].ip}'
}

has_address() { [[ -n $(address_of "$1") ]]; }

# pods COMPONENT: names.
pods() {
    kubectl get pods -l "app.kubernetes.io/instance=$RELEASE,app.kubernetes.io/component=$1" \
        --field-selector=status.phase=Running -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}'
}

# an COMPONENT: the name of one of its pods.
an() {
    local all
    mapfile -t all < <(pods "$1")
    ((${#all[@]} > 0)) || fail "no pod of $1 runs"
    echo "${all[0]}"
}

pod_address() { kubectl get pod "$1" -o jsonpath='{.status.podIP}'; }

# admin POD PATH: what a pod says of itself.
admin() { curl --silent --fail --max-time 5 --retry 3 --retry-connrefused "http://$(pod_address "$1"):9190$2"; }

# encoder NODE URL: a real encoder, started again when it ends, as encoders do, or when it is stuck: where a machine lost
# its power nobody closes the connection.
encoder() {
    background bash -c '
        while :; do
            "$0" "$1" ffmpeg -hide_banner -loglevel error -re -f lavfi -i "testsrc2=size=320x180:rate=25" \
                -f lavfi -i "sine=frequency=440" -c:v libx264 -preset ultrafast -tune zerolatency -g 25 \
                -pix_fmt yuv420p -c:a aac -f flv -rw_timeout 5000000 "$2" </dev/null >/dev/null 2>&1
            sleep 0.2
        done' "$LAB/enter" "$1" "$2"
}

# fresh: the release as the values of the tests say, with nothing live, and no pod of what was there before.
fresh() {
    install_chart
    settled 60
    await 40 "the end of all earlier streams" ledgers_have 0
    await 30 "the origin's address" has_address "$NAME-origin"
}

# ledgers_have COUNT: every operator knows so many live streams, each with a home.
ledgers_have() {
    local pod
    for pod in $(pods operator); do
        [[ $(admin "$pod" /streams | jq '[.operator[] | select(.homes | length > 0)] | length') == "$1" ]] || return 1
    done
}

# plays NODE URL [BYTES]: whether a picture comes.
plays() {
    local bytes=${3:-60000} got
    got=$(near "$1" curl --silent --no-buffer --max-time 5 "$2" | head -c "$bytes" | wc -c)
    ((got >= bytes))
}
