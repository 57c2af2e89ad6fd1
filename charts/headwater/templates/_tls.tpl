{{/* The Secret of the certificate between roles. */}}
{{- define "headwater.internalTlsSecret" -}}
{{- .Values.internalTls.existingSecret | default (printf "%s-internal-tls" (include "headwater.fullname" .)) }}
{{- end }}

{{/* Whether a role shows people a certificate: not empty if so. Takes root, role. */}}
{{- define "headwater.publicTls" -}}
{{- if and .root.Values.tls.existingSecret (ne .role "operator") }}yes{{ end }}
{{- end }}

{{/* Where a container finds its certificates. Takes root, role. */}}
{{- define "headwater.tlsEnv" -}}
{{- if include "headwater.publicTls" . }}
- {name: HEADWATER_TLS_CERTIFICATE_FILE, value: /etc/headwater-tls/tls.crt}
- {name: HEADWATER_TLS_KEY_FILE, value: /etc/headwater-tls/tls.key}
{{- if eq .role "origin" }}
- {name: HEADWATER_ORIGIN_RTMPS_LISTEN, value: "[::]:1937"}
{{- end }}
{{- end }}
{{- if .root.Values.internalTls.enabled }}
- {name: HEADWATER_INTERNAL_TLS_CERTIFICATE_FILE, value: /etc/headwater-internal-tls/tls.crt}
- {name: HEADWATER_INTERNAL_TLS_KEY_FILE, value: /etc/headwater-internal-tls/tls.key}
- {name: HEADWATER_INTERNAL_TLS_CA_FILE, value: /etc/headwater-internal-tls/ca.crt}
- {name: HEADWATER_INTERNAL_TLS_NAME, value: {{ .root.Values.internalTls.name | quote }}}
{{- end }}
{{- end }}

{{/* The same, as mounts: whole folders, so that a renewed Secret reaches the pod. Takes root, role. */}}
{{- define "headwater.tlsMounts" -}}
{{- if include "headwater.publicTls" . }}
- {name: tls, mountPath: /etc/headwater-tls, readOnly: true}
{{- end }}
{{- if .root.Values.internalTls.enabled }}
- {name: internal-tls, mountPath: /etc/headwater-internal-tls, readOnly: true}
{{- end }}
{{- end }}

{{/* The volumes of these mounts. Takes root, role. */}}
{{- define "headwater.tlsVolumes" -}}
{{- if include "headwater.publicTls" . }}
- name: tls
  secret: {secretName: {{ .root.Values.tls.existingSecret }}}
{{- end }}
{{- if .root.Values.internalTls.enabled }}
- name: internal-tls
  secret: {secretName: {{ include "headwater.internalTlsSecret" .root }}}
{{- end }}
{{- end }}
