# The chart by itself: lint, renderings over a table of values, and what the cluster says of each.
# shellcheck shell=bash

scenario_chart() {
    local kubeconform values name golden=tests/kubernetes/golden
    helm lint --strict charts/headwater >"$WORK/lint" || fail "helm lint: $(<"$WORK/lint")"
    mkdir -p "$golden"
    kubeconform=$(tests/kubernetes/kubeconform)
    kubectl get --raw /openapi/v2 | tests/kubernetes/schemas "$WORK/schemas"
    printf 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n' >"$WORK/misspelt.yaml"
    if conforms "$WORK/misspelt.yaml"; then fail "kubeconform takes a field that there is not"; fi
    for values in tests/kubernetes/renderings/*.yaml; do
        name=$(basename "$values" .yaml)
        helm template "$RELEASE" charts/headwater --kube-version 1.35.0 --values "$values" >"$WORK/whole.yaml" ||
            fail "$values is not rendered"
        # Keys that the chart makes are others each time.
        sed -E 's/^(  (ca|tls)\.(crt|key)): .+/\1: bWFkZSBieSB0aGUgY2hhcnQ=/' "$WORK/whole.yaml" >"$WORK/$name.yaml"
        if [[ -n ${UPDATE_GOLDEN:-} ]]; then cp "$WORK/$name.yaml" "$golden/$name.yaml"; fi
        diff -u "$golden/$name.yaml" "$WORK/$name.yaml" >"$WORK/diff" ||
            fail "the rendering of $values changed; see, then run with UPDATE_GOLDEN=1: $(head -30 "$WORK/diff")"
        # The Prometheus operator's kinds are not known here.
        awk 'BEGIN { RS = "---\n" } !/apiVersion: monitoring.coreos.com/ { printf "---\n%s", $0 }' "$WORK/$name.yaml" >"$WORK/known.yaml"
        kubectl apply --dry-run=server --validate=strict --filename "$WORK/known.yaml" >"$WORK/dry" 2>&1 ||
            fail "the cluster refuses the rendering of $values: $(grep -v '^Warning' "$WORK/dry" | grep -i error | head -5)"
        conforms "$WORK/known.yaml" || fail "kubeconform refuses the rendering of $values: $(head -5 "$WORK/conforms")"
        say "$name: rendered as before, taken by kubeconform and the cluster"
    done
    helm template "$RELEASE" charts/headwater --kube-version 1.33.0 >"$WORK/older"
    grep -q 'trafficDistribution: PreferClose' "$WORK/older" ||
        fail "older clusters do not get PreferClose"
    # The restricted standard holds for all pods: the namespace enforces it.
    kubectl create namespace strict --dry-run=client -o yaml | kubectl apply --filename - >/dev/null
    kubectl label namespace strict pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null
    helm template "$RELEASE" charts/headwater --namespace strict --values tests/kubernetes/values.yaml |
        awk 'BEGIN { RS = "---\n" } /kind: (Deployment|StatefulSet|DaemonSet)/ { printf "---\n%s", $0 }' >"$WORK/pods.yaml"
    kubectl apply --namespace strict --dry-run=server --filename "$WORK/pods.yaml" >"$WORK/dry" 2>&1 || fail "$(<"$WORK/dry")"
    if grep -q 'would violate PodSecurity' "$WORK/dry"; then fail "restricted Pod Security: $(<"$WORK/dry")"; fi
    kubectl delete namespace strict --wait=false >/dev/null
    say "all pods fit the restricted Pod Security standard"
}

# conforms FILE: against what the cluster publishes of its kinds.
conforms() {
    "$kubeconform" -strict -schema-location "$WORK/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$1" >"$WORK/conforms" 2>&1
}
