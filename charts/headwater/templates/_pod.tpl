{{/*
The pod of a role, as Deployment, DaemonSet and StatefulSet share it. Takes root, role, component (the value of
app.kubernetes.io/component), settings (the role's values), checksum, and for edges the pool's name.
*/}}
{{- define "headwater.podTemplate" -}}
{{- $root := .root }}
{{- $settings := .settings }}
{{- $fullname := include "headwater.fullname" $root }}
{{- $internal := dict "origin" 7000 "edge" 7001 "operator" 7100 }}
metadata:
  labels:
    {{- include "headwater.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    {{- with .pool }}
    headwater.dev/pool: {{ . }}
    {{- end }}
    {{- with $settings.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    headwater.dev/config-checksum: {{ .checksum }}
    {{- with mergeOverwrite (deepCopy $root.Values.commonAnnotations) $settings.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if eq .role "operator" }}
  serviceAccountName: {{ include "headwater.serviceAccountName" $root }}
  automountServiceAccountToken: true
  {{- else }}
  serviceAccountName: {{ $fullname }}-{{ .role }}
  automountServiceAccountToken: false
  {{- end }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Variables of other Services would be read as settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (int $settings.drainSeconds) (int $settings.preStopSeconds) 5 }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- if $settings.priorityClassName }}
  priorityClassName: {{ $settings.priorityClassName }}
  {{- else if $root.Values.priorityClass.create }}
  priorityClassName: {{ $root.Release.Namespace }}-{{ $fullname }}
  {{- end }}
  {{- with $settings.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or $settings.region $settings.zone $settings.affinity }}
  affinity:
    {{- $affinity := deepCopy ($settings.affinity | default dict) }}
    {{- if and (or $settings.region $settings.zone) (not (hasKey $affinity "nodeAffinity")) }}
    {{- $expressions := list }}
    {{- with $settings.region }}
    {{- $expressions = append $expressions (dict "key" "topology.kubernetes.io/region" "operator" "In" "values" (list .)) }}
    {{- end }}
    {{- with $settings.zone }}
    {{- $expressions = append $expressions (dict "key" "topology.kubernetes.io/zone" "operator" "In" "values" (list .)) }}
    {{- end }}
    {{- $_ := set $affinity "nodeAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" (list (dict "matchExpressions" $expressions)))) }}
    {{- end }}
    {{- toYaml $affinity | nindent 4 }}
  {{- end }}
  {{- with $settings.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne .kind "DaemonSet" }}
  topologySpreadConstraints:
    {{- if $settings.topologySpreadConstraints }}
    {{- toYaml $settings.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "headwater.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.role }}
          {{- with $.pool }}
          headwater.dev/pool: {{ . }}
          {{- end }}
      {{- if eq $.kind "Deployment" }}
      # Each generation is spread for itself, so that old pods do not push new ones together.
      matchLabelKeys: [pod-template-hash]
      {{- end }}
    {{- end }}
    {{- end }}
  {{- end }}
  {{- with $settings.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .role }}
      image: {{ include "headwater.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ .role }}]
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      ports:
        {{- if eq .role "origin" }}
        - {name: rtmp, containerPort: 1935, protocol: TCP}
        {{- if $root.Values.tls.existingSecret }}
        - {name: rtmps, containerPort: 1937, protocol: TCP}
        {{- end }}
        - {name: internal, containerPort: 7000, protocol: TCP}
        {{- else if eq .role "edge" }}
        - name: http
          containerPort: 8080
          protocol: TCP
          {{- with $settings.hostPorts.http }}
          hostPort: {{ . }}
          {{- end }}
        {{- if $root.Values.tls.existingSecret }}
        - name: https
          containerPort: 8443
          protocol: TCP
          {{- with $settings.hostPorts.https }}
          hostPort: {{ . }}
          {{- end }}
        {{- end }}
        - name: rtmp-play
          containerPort: 1936
          protocol: TCP
          {{- with $settings.hostPorts.rtmp }}
          hostPort: {{ . }}
          {{- end }}
        - {name: internal, containerPort: 7001, protocol: TCP}
        {{- else }}
        - {name: grpc, containerPort: 7100, protocol: TCP}
        {{- end }}
        - {name: admin, containerPort: 9190, protocol: TCP}
      env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: HEADWATER_CONFIG, value: /etc/headwater/config.yaml}
        - {name: HEADWATER_ADMIN_LISTEN, value: "[::]:9190"}
        - {name: HEADWATER_DRAIN_GRACE, value: "{{ int $settings.drainSeconds }}s"}
        {{- if ne .role "operator" }}
        # Rings and viewers are bounded so that they fit; without a limit this is what the node has.
        - {name: HEADWATER_MEMORY_LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
        {{- end }}
        {{- if eq .role "operator" }}
        - {name: HEADWATER_OPERATOR_ID, value: $(POD_NAME)}
        {{- if $root.Values.operator.kubernetes.enabled }}
        - {name: HEADWATER_OPERATOR_KUBERNETES_ENABLED, value: "true"}
        - {name: HEADWATER_OPERATOR_KUBERNETES_NAMESPACE, value: $(POD_NAMESPACE)}
        - name: HEADWATER_OPERATOR_KUBERNETES_SELECTOR
          value: "app.kubernetes.io/name={{ include "headwater.name" $root }},app.kubernetes.io/instance={{ $root.Release.Name }}"
        - {name: HEADWATER_OPERATOR_KUBERNETES_POD_DELETION_COST, value: "{{ $root.Values.operator.kubernetes.podDeletionCost }}"}
        - {name: HEADWATER_OPERATOR_KUBERNETES_LEASE, value: {{ $fullname }}-operator}
        {{- end }}
        {{- else }}
        # A pod that comes back under its name is another member: nobody waits for one that may never return.
        - {name: HEADWATER_LOCATION_ID, value: $(POD_NAME).$(POD_UID)}
        - {name: HEADWATER_LOCATION_ADVERTISE, value: "$(POD_IP):{{ get $internal .role }}"}
        - {name: HEADWATER_LOCATION_OPERATORS_NAME, value: "{{ $fullname }}-operator:7100"}
        {{- if $settings.region }}
        - {name: HEADWATER_LOCATION_REGION, value: {{ $settings.region | quote }}}
        {{- else }}
        # Empty where the cluster does not put its nodes' labels on pods: the operator tells the pod then.
        - {name: HEADWATER_LOCATION_REGION, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/region']"}}}
        {{- end }}
        {{- if $settings.zone }}
        - {name: HEADWATER_LOCATION_ZONE, value: {{ $settings.zone | quote }}}
        {{- else }}
        - {name: HEADWATER_LOCATION_ZONE, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}}
        {{- end }}
        {{- with $root.Values.signingKeys.existingSecret }}
        - name: HEADWATER_ADMISSION_KEYS
          valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $root.Values.signingKeys.key }}}}
        {{- end }}
        {{- end }}
        {{- with include "headwater.tlsEnv" (dict "root" $root "role" .role) | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with concat $root.Values.extraEnv $settings.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $settings.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      # Live: the process's loop turns. Ready: it can take new work.
      livenessProbe:
        httpGet: {path: /healthz, port: admin}
        {{- toYaml $settings.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        {{- toYaml $settings.readinessProbe | nindent 8 }}
      {{- if gt (int $settings.preStopSeconds) 0 }}
      lifecycle:
        # Load balancers look elsewhere before the process closes its ports.
        preStop: {sleep: {seconds: {{ int $settings.preStopSeconds }}}}
      {{- end }}
      resources:
        {{- include "headwater.resources" (dict "root" $root "role" .role "settings" $settings) | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/headwater, readOnly: true}
        {{- with include "headwater.tlsMounts" (dict "root" $root "role" .role) | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $settings.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $settings.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ $fullname }}-{{ .component }}}
    {{- with include "headwater.tlsVolumes" (dict "root" $root "role" .role) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $settings.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
