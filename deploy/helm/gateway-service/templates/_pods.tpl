{{/* What every pod of ours has. It meets the profile "restricted" of the Pod Security Standards. */}}
{{- define "gateway.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "gateway.container" -}}
image: {{ include "gateway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* Where pods go: (list . component settings). */}}
{{- define "gateway.placement" -}}
{{- with index . 2 }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- index . 1 | nindent 8 }}
{{- end -}}

{{/* Helm reads numbers of a file as floating ones, and would write 1e+06. */}}
{{- define "gateway.text" -}}
{{ kindIs "float64" . | ternary (regexReplaceAll "[.]?0+$" (printf "%f" .) "") (toString .) }}
{{- end -}}

{{/* A mapping of variables as the list that Kubernetes wants; a mapping cannot have a name twice. */}}
{{- define "gateway.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  valueFrom: {{- toYaml $value | nindent 4 }}
  {{- else }}
  value: {{ include "gateway.text" $value | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "gateway.fromSecret" -}}
secretKeyRef: { name: {{ index . 0 }}, key: {{ index . 1 }} }
{{- end -}}

{{/* Of everything that talks to the broker. */}}
{{- define "gateway.brokerUrl" -}}
{{- if .Values.broker.rabbitmqCluster -}}
{{ include "gateway.fromSecret" (list (printf "%s-default-user" .Values.broker.rabbitmqCluster) "connection_string") }}
{{- else -}}
{{ include "gateway.fromSecret" (list .Values.existingSecret .Values.secretKeys.brokerUrl) }}
{{- end -}}
{{- end -}}

{{/* Of gateway and workers: handlers may speak to Discord, too. */}}
{{- define "gateway.environment" -}}
{{- $ours := dict
  "DISCORD_TOKEN_FILE" "/run/secrets/gateway/discord-token"
  "GATEWAY_BROKER_URL" (include "gateway.brokerUrl" . | fromYaml)
  "GATEWAY_STATE_URL" (include "gateway.fromSecret" (list .Values.existingSecret .Values.secretKeys.stateUrl) | fromYaml)
-}}
{{- merge $ours .Values.settings | toYaml -}}
{{- end -}}

{{/* Keys of the Secret by the file that they become: (list . files). */}}
{{- define "gateway.volumes" -}}
{{- $files := index . 1 }}
{{- with index . 0 }}
{{- with .Values.secretKeys.caBundle }}{{ $_ := set $files "ca.pem" . }}{{ end }}
{{- if $files }}
- name: secrets
  secret:
    secretName: {{ .Values.existingSecret }}
    defaultMode: 0440
    items:
      {{- range $path, $key := $files }}
      - { key: {{ $key }}, path: {{ $path }} }
      {{- end }}
{{- end }}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 64Mi }
{{- end }}
{{- end -}}

{{- define "gateway.mounts" -}}
- { name: secrets, mountPath: /run/secrets/gateway, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- end -}}
