{{/*
The configuration file of a role: `config` for all, the role's own settings, then its `config` in full.
Takes root, role, settings.
*/}}
{{- define "headwater.config" -}}
{{- $root := .root }}
{{- $role := .role }}
{{- $settings := .settings }}
{{- $config := deepCopy $root.Values.config }}
{{- $own := dict }}
{{- if eq $role "edge" }}
{{- $own = dict
    "limits" (dict "viewers" (int64 $settings.capacity.viewers) "viewers_per_stream" (int64 $settings.capacity.viewers) "connections" (add (int64 $settings.capacity.viewers) 1000))
    "socket" (dict "send_buffer_bytes" (int64 (include "headwater.bytes" $settings.capacity.sendBuffer)))
    "pull" (dict "rings_max_bytes" (int64 (include "headwater.bytes" $settings.capacity.rings)))
}}
{{- else if eq $role "origin" }}
{{- $own = dict
    "max_streams" (int64 $settings.capacity.streams)
    "ring_budget_bytes" (int64 (include "headwater.bytes" $settings.capacity.rings))
}}
{{- end }}
{{- $config = mergeOverwrite $config (dict $role (mergeOverwrite $own (deepCopy $settings.config))) }}
{{- toYaml $config }}
{{- end }}

{{/* A quantity such as 16Ki, 256Mi, 1Gi or 4096 in bytes. */}}
{{- define "headwater.bytes" -}}
{{- $text := toString . }}
{{- if hasSuffix "Ki" $text }}{{ mul (trimSuffix "Ki" $text | int64) 1024 }}
{{- else if hasSuffix "Mi" $text }}{{ mul (trimSuffix "Mi" $text | int64) 1048576 }}
{{- else if hasSuffix "Gi" $text }}{{ mul (trimSuffix "Gi" $text | int64) 1073741824 }}
{{- else }}{{ int64 $text }}
{{- end }}
{{- end }}

{{/*
Memory in MiB that a pod needs at its capacity: the process, its rings, and for each connection the kernel's send buffer
(socket buffers count against the pod on cgroup v2) and 3 KiB, or 10 KiB in TLS. Takes root, role, settings.
*/}}
{{- define "headwater.memoryMi" -}}
{{- $capacity := .settings.capacity }}
{{- if eq .role "operator" }}{{ 256 }}
{{- else }}
{{- $rings := int64 (include "headwater.bytes" $capacity.rings) }}
{{- $connections := int64 0 }}
{{- $each := int64 0 }}
{{- if eq .role "edge" }}
{{- $connections = int64 $capacity.viewers }}
{{- $each = add (int64 (include "headwater.bytes" $capacity.sendBuffer)) (ternary 10240 3072 (not (empty .root.Values.tls.existingSecret))) }}
{{- else }}
{{- $connections = int64 $capacity.streams }}
{{- $each = 131072 }}
{{- end }}
{{- $bytes := add 67108864 $rings (mul $connections $each) }}
{{- div (add $bytes 1048575) 1048576 }}
{{- end }}
{{- end }}

{{/* The resources of a container: those of the values, else the memory of the capacity as request and limit. */}}
{{- define "headwater.resources" -}}
{{- if .settings.resources }}
{{- toYaml .settings.resources }}
{{- else }}
{{- $memory := printf "%sMi" (include "headwater.memoryMi" .) }}
{{- toYaml (dict "requests" (dict "cpu" "100m" "memory" $memory) "limits" (dict "memory" $memory)) }}
{{- end }}
{{- end }}
