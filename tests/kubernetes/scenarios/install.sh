# From nothing to the first picture at an edge, through the load balancer's address.
# shellcheck shell=bash

scenario_install() {
    uninstall
    local began_ms origin edge took_ms pod started_ms ready_ms
    began_ms=$(now_ms)
    install_chart
    await 30 "the origin's address" has_address "$NAME-origin"
    origin=$(address_of "$NAME-origin")
    edge=$(address_of "$NAME-edge-b")
    encoder 1 "rtmp://$origin/live/first"
    await 60 "the first picture" plays 3 "http://$edge:81/live/first.flv"
    took_ms=$(($(now_ms) - began_ms))
    say "install to picture: $((took_ms / 1000)) s"
    ((took_ms <= 60000)) || fail "install to picture took $took_ms ms"
    stop "${children[-1]}"
    helm test "$RELEASE" --timeout 60s >"$WORK/test" 2>&1 || fail "helm test: $(tail -3 "$WORK/test")"
    say "helm test plays a picture at every pool"

    # One that joins: those of the installation wait until the name server knows of the operators.
    pods edge | sort >"$WORK/before"
    kubectl scale "deployment/$NAME-edge-a" --replicas 4 >/dev/null
    ready 60
    for pod in $(pods edge | sort | comm -13 "$WORK/before" -); do
        started_ms=$(kubectl get pod "$pod" -o json |
            jq '.status.containerStatuses[0].state.running.startedAt | fromdate * 1000')
        ready_ms=$(kubectl get pod "$pod" -o json |
            jq '.status.conditions[] | select(.type == "Ready") | .lastTransitionTime | fromdate * 1000')
        say "$pod ready $(((ready_ms - started_ms) / 1000)) s after its container started"
        # Kubernetes keeps whole seconds.
        ((ready_ms - started_ms <= 3000)) || fail "$pod took $((ready_ms - started_ms)) ms to be ready"
    done
    kubectl scale "deployment/$NAME-edge-a" --replicas 2 >/dev/null
}
