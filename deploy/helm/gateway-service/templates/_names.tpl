{{/*
Names have room behind them for what is added: "-s100000x1000", a pod's number, a revision. They are never cut: two bots
whose names begin alike would share one.
*/}}
{{- define "gateway.fullname" -}}
{{- $long := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- $named := or (contains .Chart.Name .Release.Name) (gt (len $long) 36) | ternary .Release.Name $long -}}
{{- $name := .Values.fullnameOverride | default $named -}}
{{- if gt (len $name) 36 -}}
{{- fail (printf "the name %s has %d characters, and 36 are possible: choose a shorter release name or set fullnameOverride" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the name %s is not one of a Service (small letters, digits and '-', a letter first): choose another release name or set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* What tells the bots of one Prometheus and one Grafana apart: releases of two namespaces may have one name. */}}
{{- define "gateway.bot" -}}
{{- printf "%s/%s" .Release.Namespace (include "gateway.fullname" .) -}}
{{- end -}}

{{/*
The shards of every pod follow from both numbers. Under one name a rollout would mix pods that divide the shards in
two ways, and two pods would run the same shard.
*/}}
{{- define "gateway.shards.name" -}}
{{- printf "%s-s%dx%d" (include "gateway.fullname" .) (int .Values.shards.total) (int .Values.shards.perPod) -}}
{{- end -}}

{{/* Rounded up: the last pod may have fewer. */}}
{{- define "gateway.shards.pods" -}}
{{- div (add (int .Values.shards.total) (int .Values.shards.perPod) -1) (int .Values.shards.perPod) -}}
{{- end -}}

{{/* Of one component: (list . "shards"). */}}
{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
{{- with index . 0 }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
{{- end -}}

{{- define "gateway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* One group of workers with its defaults: (list . group). */}}
{{- define "gateway.worker" -}}
{{- mergeOverwrite (deepCopy (index . 0).Values.workerDefaults) (index . 1 | default dict) | toYaml -}}
{{- end -}}
