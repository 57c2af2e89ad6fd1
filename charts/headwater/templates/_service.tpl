{{/* How a Service is open to the world; takes the service's values. */}}
{{- define "headwater.exposure" -}}
{{- if ne .type "ClusterIP" }}
externalTrafficPolicy: {{ .externalTrafficPolicy }}
{{- end }}
{{- if eq .type "LoadBalancer" }}
{{- with .loadBalancerClass }}
loadBalancerClass: {{ . }}
{{- end }}
{{- with .loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The value of trafficDistribution that this cluster knows; takes root and wanted. */}}
{{- define "headwater.trafficDistribution" -}}
{{- if .wanted }}
{{- if and (eq .wanted "PreferSameZone") (semverCompare "<1.34.0-0" .root.Capabilities.KubeVersion.Version) }}
trafficDistribution: PreferClose
{{- else }}
trafficDistribution: {{ .wanted }}
{{- end }}
{{- end }}
{{- end }}
