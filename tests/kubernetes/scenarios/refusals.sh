# Bad input: refused where it is written, or marked with what to do.
# shellcheck shell=bash

scenario_refusals() {
    fresh
    schema_names_the_value
    policies_are_refused_or_marked
    the_operator_may_no_more_than_it_must
    a_missing_right_is_named
    an_old_release_is_upgraded
}

# refused ARGS... -- TEXT: helm refuses the values and names TEXT.
refused() {
    local text=${*: -1}
    if helm template "$RELEASE" charts/headwater "${@:1:$#-1}" >"$WORK/refused" 2>&1; then
        fail "helm took ${*:1:$#-1}"
    fi
    grep -qF -- "$text" "$WORK/refused" || fail "helm does not name $text: $(tail -2 "$WORK/refused")"
}

schema_names_the_value() {
    refused --set origin.replicas=3 "/origin"
    refused --set 'edgePools[0].name=Über' "/edgePools/0/name"
    refused --set origin.service.type=Proxy "/origin/service/type"
    refused --set edge.capacity.viewers=0 "/edge/capacity/viewers"
    refused --set origin.config.max_stream=5 "/origin/config"
    refused --set-string edge.service.ports.http=80 "/edge/service/ports/http"
    refused --set image.digest=abc "/image/digest"
    say "wrong values are refused with their path"
}

# unapplied TEXT: the API server refuses the policy on standard input and names TEXT.
unapplied() {
    if kubectl apply --filename - >"$WORK/unapplied" 2>&1; then fail "the API server took a policy that it should refuse: $1"; fi
    grep -qF -- "$1" "$WORK/unapplied" || fail "the refusal does not say \"$1\": $(<"$WORK/unapplied")"
}

policy() {
    printf 'apiVersion: headwater.dev/v1alpha1\nkind: StreamPolicy\nmetadata: {name: %s}\nspec: %s\n' "$1" "$2"
}

policies_are_refused_or_marked() {
    policy a '{streams: [{app: live}], mode: rtc, latency: {maxCache: 3s}}' | unapplied "remove latency"
    policy a '{streams: [{app: live}]}' | unapplied "the policy sets nothing"
    policy a '{streams: [], mode: rtc}' | unapplied "spec.streams"
    policy a '{streams: [{app: live}], mode: fast}' | unapplied "spec.mode"
    policy a '{streams: [{app: live}], placement: {}}' | unapplied "placement restricts nothing"
    policy late '{streams: [{app: live, name: late}], linger: 99m}' | kubectl apply --filename - >/dev/null
    policy mars '{streams: [{app: live, name: mars}], placement: {regions: [mars]}}' | kubectl apply --filename - >/dev/null
    policy same-1 '{streams: [{app: live, name: same}], mode: live}' | kubectl apply --filename - >/dev/null
    policy same-2 '{streams: [{app: live, name: same}], mode: rtc}' | kubectl apply --filename - >/dev/null
    await 20 "the mark on a policy out of range" marked late Accepted "spec.linger is 99m"
    await 20 "the mark on a policy without origins" marked mars Placeable "add origins there"
    await 20 "the mark on the second of two alike" marked same-2 Accepted "StreamPolicy same-1"
    await 20 "the first of two alike" accepted_policy same-1
    await 20 "an Event about the policy" has_event late
    local generation observed
    generation=$(kubectl get streampolicy late -o jsonpath='{.metadata.generation}')
    observed=$(kubectl get streampolicy late -o jsonpath='{.status.observedGeneration}')
    [[ $generation == "$observed" ]] || fail "the status is about generation $observed, not $generation"
    kubectl get sp late >/dev/null || fail "the short name does not work"
    kubectl delete streampolicies --all >/dev/null
    say "policies that contradict themselves are refused or marked with what to do"
}

marked() {
    [[ $(condition_of "$1" "$2") == False ]] &&
        kubectl get streampolicy "$1" -o jsonpath="{.status.conditions[?(@.type==\"$2\")].message}" | grep -qF -- "$3"
}

has_event() { kubectl get events.events.k8s.io -o json | jq --exit-status --arg name "$1" '[.items[] | select(.regarding.name == $name)] | length > 0'; }

# can VERB RESOURCE [ARGS...]: what the operator's account may do.
can() { [[ $(kubectl auth can-i "$@" --as "system:serviceaccount:default:$NAME-operator" 2>/dev/null) == yes ]]; }

the_operator_may_no_more_than_it_must() {
    local verb resource
    for verb in get list watch patch; do can "$verb" pods || fail "the operator may not $verb pods"; done
    can watch nodes || fail "the operator may not watch nodes"
    can update "leases/$NAME-operator" || fail "the operator may not update its lease"
    while read -r verb resource; do
        if can "$verb" "$resource"; then fail "the operator may $verb $resource, which it need not"; fi
    done <<'RIGHTS'
get secrets
list secrets
list configmaps
create pods
delete pods
create pods/exec
update deployments.apps
patch deployments.apps/scale
delete nodes
patch nodes
update leases/another
delete leases
patch streampolicies
delete streampolicies
create clusterrolebindings
RIGHTS
    if can list pods --namespace kube-system; then fail "the operator may list pods of other namespaces"; fi
    for resource in origin edge; do
        [[ $(kubectl auth can-i list pods --as "system:serviceaccount:default:$NAME-$resource" 2>/dev/null) == no ]] ||
            fail "the account of the $resource has rights"
    done
    say "the operator may do what it must, and nothing else that was tried"
}

a_missing_right_is_named() {
    kubectl get clusterrole "default-$NAME-operator" -o json >"$WORK/role"
    kubectl patch clusterrole "default-$NAME-operator" --type json -p '[{"op": "replace", "path": "/rules", "value": []}]' >/dev/null
    kubectl rollout restart "deployment/$NAME-operator" >/dev/null
    await 60 "the missing right in the log" logs_say "may not watch nodes"
    kubectl replace --filename "$WORK/role" >/dev/null 2>&1 || kubectl patch clusterrole "default-$NAME-operator" --type json \
        -p '[{"op": "replace", "path": "/rules", "value": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]}]' >/dev/null
    settled 60
    say "a missing right is named in the log, and the operator serves without it"
}

# Through a file: a pipe that is closed at the first find fails whoever writes the rest.
logs_say() {
    kubectl logs -l "app.kubernetes.io/instance=$RELEASE,app.kubernetes.io/component=operator" --tail 200 >"$WORK/log"
    grep -qF -- "$1" "$WORK/log"
}

# A release of the frozen chart, with a stream and a policy, goes over to the chart of now.
an_old_release_is_upgraded() {
    local origin
    uninstall
    helm install "$RELEASE" tests/kubernetes/chart-0.1.0.tgz --values tests/kubernetes/values.yaml >/dev/null
    ready 60
    await 30 "the origin's address" has_address "$NAME-origin"
    origin=$(address_of "$NAME-origin")
    policy kept '{streams: [{app: live}], mode: rtc}' | kubectl apply --filename - >/dev/null
    background "$LAB/enter" 1 "$RIG" push --picture-bytes 400 "rtmp://$origin/live/old"
    await 30 "the stream" ledgers_have 1
    install_chart
    settled 60
    await 30 "the stream after the upgrade" ledgers_have 1
    kubectl get streampolicy kept >/dev/null || fail "the upgrade lost a StreamPolicy"
    helm uninstall "$RELEASE" --wait --timeout 60s >/dev/null
    kubectl get streampolicy kept >/dev/null || fail "uninstalling took the StreamPolicies away"
    stop_children KILL
    kubectl delete streampolicy kept >/dev/null
    say "an upgrade from 0.1.0 keeps streams, and neither it nor an uninstall touches StreamPolicies"
}
