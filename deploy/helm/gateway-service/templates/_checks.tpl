{{/*
What the schema cannot say, or not so that one can read it. Each template prints a line for each fault: the value, what it
must be, what it is.
*/}}

{{/* (list path value pattern must-be) */}}
{{- define "gateway.check" -}}
{{- if not (regexMatch (printf "^(%s)$" (index . 2)) (index . 1 | toString)) }}
{{ index . 0 }}: must be {{ index . 3 }}, not '{{ index . 1 }}'
{{- end }}
{{- end -}}

{{/* A name of another object, or none: (list path value). */}}
{{- define "gateway.check.name" -}}
{{- include "gateway.check" (list (index . 0) (index . 1) "([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?" "a name of Kubernetes (small letters, digits, '-' and '.')") }}
{{- end -}}

{{/* (list path value) */}}
{{- define "gateway.check.bytes" -}}
{{- include "gateway.check" (list (index . 0) (index . 1) "[0-9]+([.][0-9]+)?([kMGTPE]|[KMGTPE]i)?" "a number of bytes such as 512Mi or 5Gi") }}
{{- end -}}

{{/* Labels, or what else selects by them: (list path mapping). */}}
{{- define "gateway.check.labels" -}}
{{- range $name, $value := index . 1 }}
{{- include "gateway.check" (list (printf "%s, the name of a label" (index $ 0)) $name "([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?" "letters, digits, '-', '_' and '.'") }}
{{- include "gateway.check" (list (printf "%s.%s" (index $ 0) $name) $value "([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?" "letters, digits, '-', '_' and '.', 63 at most") }}
{{- end }}
{{- end -}}

{{/* Those of an object of ours as well, whose own would stand there twice: (list root path mapping). */}}
{{- define "gateway.check.addedLabels" -}}
{{- include "gateway.check.labels" (list (index . 1) (index . 2)) }}
{{- $ours := include "gateway.labels" (list (index . 0) "") | fromYaml }}
{{- range $name, $_ := index . 2 }}
{{- if hasKey $ours $name }}
{{ index $ 1 }}.{{ $name }}: the chart sets this label itself; leave it out
{{- end }}
{{- end }}
{{- end -}}

{{/* A quantity as a number: 512Mi, 250m; also as our settings write it: 512MiB. */}}
{{- define "gateway.number" -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $power := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "ki" 1024 "mi" 1048576 "gi" 1073741824 "ti" 1099511627776 "pi" 1125899906842624 "ei" 1152921504606846976 -}}
{{- $known := regexReplaceAll "(?i)b$" $unit "" -}}
{{- if hasSuffix "i" (lower $known) -}}{{- $known = lower $known -}}{{- end -}}
{{- mulf (trimSuffix $unit . | trim | float64) (get $power $known | default 1 | float64) | printf "%f" -}}
{{- end -}}

{{/* (list path resources) */}}
{{- define "gateway.check.resources" -}}
{{- $path := index . 0 }}
{{- $faults := "" }}
{{- range $kind, $quantities := index . 1 }}
{{- range $name, $quantity := $quantities }}
{{- $at := printf "%s.%s.%s" $path $kind $name }}
{{- if eq $name "cpu" }}
{{- $faults = print $faults (include "gateway.check" (list $at $quantity "[0-9]+([.][0-9]+)?|[0-9]+m" "a number of CPUs such as 250m or 2")) }}
{{- else }}
{{- $faults = print $faults (include "gateway.check.bytes" (list $at $quantity)) }}
{{- end }}
{{- end }}
{{- end }}
{{- $faults }}
{{- $limits := (index . 1).limits | default dict }}
{{- if not $faults }}
{{- range $name, $quantity := (index . 1).requests }}
{{- $limit := get $limits $name }}
{{- if and $limit (gt (include "gateway.number" (toString $quantity) | float64) (include "gateway.number" (toString $limit) | float64)) }}
{{ $path }}.requests.{{ $name }}: must not be more than {{ $path }}.limits.{{ $name }}, which is {{ $limit }}, but is {{ $quantity }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Memory that the processes of a pod come to, as docs/deploying.md has measured it: (list path resources mebibytes for). */}}
{{- define "gateway.check.memory" -}}
{{- $limit := (index . 1).limits | default dict | dig "memory" "" | toString }}
{{- if and $limit (not (include "gateway.check.bytes" (list "" $limit))) }}
{{- if lt (include "gateway.number" $limit | float64) (mulf (index . 2) 1048576) }}
{{ index . 0 }}.resources.limits.memory: must be {{ ceil (index . 2) }}Mi or more for {{ index . 3 }}, but is {{ $limit }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A shard process also has what waits while the broker is away. */}}
{{- define "gateway.check.outbox" -}}
{{- $default := (.Files.Get "settings.json" | fromJson).GATEWAY_OUTBOX_MAX_BYTES.default }}
{{- $given := hasKey .Values.settings "GATEWAY_OUTBOX_MAX_BYTES" }}
{{- $each := $given | ternary (get .Values.settings "GATEWAY_OUTBOX_MAX_BYTES") $default | include "gateway.text" }}
{{- with .Values.shards }}
{{- if regexMatch "^ *[0-9]+ *[A-Za-z]*$" $each }}
{{- $mebibytes := addf 80 (mulf .processes (addf 60 (divf (include "gateway.number" $each | float64) 1048576))) }}
{{- $for := printf "shards.processes (%d) with settings.GATEWAY_OUTBOX_MAX_BYTES (%s%s) each" (int .processes) $each ($given | ternary "" " by default") }}
{{- include "gateway.check.memory" (list "shards" .resources $mebibytes $for) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where pods run, and what they get: (list path settings). */}}
{{- define "gateway.check.pods" -}}
{{- $path := index . 0 }}
{{- with index . 1 }}
{{- include "gateway.check.resources" (list (printf "%s.resources" $path) .resources) }}
{{- include "gateway.check.labels" (list (printf "%s.nodeSelector" $path) .nodeSelector) }}
{{- include "gateway.check.name" (list (printf "%s.priorityClassName" $path) .priorityClassName) }}
{{- end }}
{{- end -}}

{{/* Addresses of a NetworkPolicy: (list path peers). */}}
{{- define "gateway.check.peers" -}}
{{- range $index, $peer := index . 1 }}
{{- $path := printf "%s[%d]" (index $ 0) $index }}
{{- with $peer.ipBlock }}
{{- include "gateway.check.addresses" (list (printf "%s.ipBlock.cidr" $path) .cidr) }}
{{- range .except }}{{ include "gateway.check.addresses" (list (printf "%s.ipBlock.except" $path) .) }}{{ end }}
{{- if or (hasKey $peer "podSelector") (hasKey $peer "namespaceSelector") }}
{{ $path }}: has an ipBlock, so it must have no selector; make two of it
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (list path value) */}}
{{- define "gateway.check.addresses" -}}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" }}
{{- $four := printf "%s([.]%s){3}/(3[0-2]|[12]?[0-9])" $byte $byte }}
{{- $six := "[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])" }}
{{- include "gateway.check" (list (index . 0) (index . 1) (printf "%s|%s" $four $six) "a range of addresses such as 10.0.0.0/8 or fd00::/8") }}
{{- end -}}

{{/* Rules of a NetworkPolicy: (list path rules). */}}
{{- define "gateway.check.egress" -}}
{{- range $index, $rule := index . 1 }}
{{- $path := printf "%s[%d]" (index $ 0) $index }}
{{- include "gateway.check.peers" (list (printf "%s.to" $path) $rule.to) }}
{{- range $number, $port := $rule.ports }}
{{- with $port.endPort }}
{{- if or (kindIs "string" $port.port) (lt (int .) (int $port.port)) }}
{{ $path }}.ports[{{ $number }}].endPort: must be {{ kindIs "string" $port.port | ternary "with a port that is a number" (printf "%d or more, the port" (int $port.port)) }}, but is {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gateway.check.settings" -}}
{{- $known := .Files.Get "settings.json" | fromJson }}
{{- $ours := list "DISCORD_TOKEN" "DISCORD_TOKEN_FILE" "GATEWAY_BROKER_URL" "CELERY_BROKER_URL" "GATEWAY_STATE_URL" "GATEWAY_ONCE_URL" "GATEWAY_TASKS" "GATEWAY_SHARDS" "GATEWAY_SHARD_COUNT" "GATEWAY_SHARDS_PER_POD" "GATEWAY_ORDINAL" "GATEWAY_PROCESSES" "GATEWAY_SPOOL_DIR" "GATEWAY_CONTROL_ADDRESS" "GATEWAY_CONTROL_TOKENS_FILE" "GATEWAY_WORKER_METRICS_ADDRESS" }}
{{- $possible := list }}
{{- range $name, $_ := $known }}{{ if not (has $name $ours) }}{{ $possible = append $possible $name }}{{ end }}{{ end }}
{{- range $name, $given := .Values.settings }}
{{- $value := kindIs "map" $given | ternary "" (include "gateway.text" $given) }}
{{- $setting := get $known $name }}
{{- if has $name $ours }}
settings.{{ $name }}: the chart sets this variable itself, from another value or from existingSecret
{{- else if and (hasPrefix "GATEWAY_" $name) (not (hasKey $known $name)) }}
settings.{{ $name }}: is no setting of this version; they are {{ join ", " $possible }}
{{- else if not (regexMatch "^[A-Z_][A-Z0-9_]*$" $name) }}
settings.{{ $name }}: must be a variable such as GATEWAY_INTENTS, in capital letters
{{- else if and $value $setting $setting.pattern }}
{{- include "gateway.check" (list (printf "settings.%s" $name) $value $setting.pattern $setting.must_be) }}
{{- else if or (and $value (eq $name "GATEWAY_ROUTES")) (and (eq $name "GATEWAY_PRESENCE") (hasPrefix "{" $value)) }}
{{- with ($value | fromJson).Error }}
settings.{{ $name }}: must be a JSON object: {{ . }}
{{- end }}
{{- else if regexMatch "://[^/?#]*:[^/?#]*@" $value }}
settings.{{ $name }}: has a password in it; put it into a Secret, and here {secretKeyRef: {name: ..., key: ...}}
{{- end }}
{{- if and (kindIs "map" $given) (ne (len $given) 1) }}
settings.{{ $name }}: must name either a secretKeyRef or a configMapKeyRef
{{- end }}
{{- end }}
{{- end -}}

{{/* Every process of a pod may fill its part of the disk. */}}
{{- define "gateway.check.spool" -}}
{{- $default := (.Files.Get "settings.json" | fromJson).GATEWAY_SPOOL_MAX_BYTES.default }}
{{- $given := hasKey .Values.settings "GATEWAY_SPOOL_MAX_BYTES" }}
{{- $each := $given | ternary (get .Values.settings "GATEWAY_SPOOL_MAX_BYTES") $default | include "gateway.text" }}
{{- with .Values.shards }}
{{- $faults := include "gateway.check.bytes" (list "shards.spool.size" (.spool.size | default "1Gi")) }}
{{- $faults }}
{{- if not (regexMatch "^ *[0-9]+ *[A-Za-z]*$" $each) }}
{{- else if not .spool.size }}
{{- if and $given (gt (include "gateway.number" $each | float64) 0.0) }}
settings.GATEWAY_SPOOL_MAX_BYTES: is {{ $each }}, but pods have no disk for it; set shards.spool.size, or leave it out
{{- end }}
{{- if .spool.storageClassName }}
shards.spool.storageClassName: is {{ .spool.storageClassName }}, but pods have no disk; set shards.spool.size, or leave it out
{{- end }}
{{- else if $faults }}
{{- else if eq (include "gateway.number" $each | float64) 0.0 }}
settings.GATEWAY_SPOOL_MAX_BYTES: is 0, so the disks of shards.spool.size would not be used; leave out one of both
{{- else if gt (mulf (include "gateway.number" $each | float64) .processes) (include "gateway.number" .spool.size | float64) }}
shards.spool.size: must have room for settings.GATEWAY_SPOOL_MAX_BYTES ({{ $each }}{{ $given | ternary "" " by default" }}) times shards.processes ({{ .processes }}), but is {{ .spool.size }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gateway.check.workers" -}}
{{- $seen := list }}
{{- range $name, $group := .Values.workers }}
{{- $path := printf "workers.%s" $name }}
{{- $worker := include "gateway.worker" (list $ $group) | fromYaml }}
{{- include "gateway.check" (list (printf "%s, the name of a group" $path) $name "[a-z]([a-z0-9-]{0,17}[a-z0-9])?" "small letters, digits and '-', 19 at most") }}
{{- include "gateway.check" (list (printf "%s.tasks" $path) $worker.tasks " *[\\pL_][\\pL\\pN_.]*( *, *[\\pL_][\\pL\\pN_.]*)* *" "modules of Python with commas between them") }}
{{- include "gateway.check.pods" (list $path $worker) }}
{{- include "gateway.check.memory" (list $path $worker.resources (addf 50 (mulf $worker.processes 80)) (printf "%s.processes (%d)" $path (int $worker.processes))) }}
{{- range $worker.queues }}
{{- if regexMatch "^[A-Z][A-Z_]*$" . }}
{{ $path }}.queues: a queue has its group before the event: default.{{ . }}, not '{{ . }}'
{{- end }}
{{- include "gateway.check" (list (printf "%s.queues" $path) . "[^, ]+" "names of queues such as default.MESSAGE_CREATE, one for each item") }}
{{- end }}
{{- if ne (len $worker.queues) (len (uniq $worker.queues)) }}
{{ $path }}.queues: has a queue twice: {{ join ", " $worker.queues }}
{{- end }}
{{- range $worker.options }}
{{- if regexMatch "^(-[QPcnD]|--(queues|processes|grace|pool|concurrency|autoscale|hostname|detach|pidfile)(=|$))" . }}
{{ $path }}.options: {{ . }} is decided by the chart, from queues, processes and terminationGracePeriodSeconds
{{- end }}
{{- end }}
{{- with $worker.autoscaling }}
{{- include "gateway.check" (list (printf "%s.autoscaling.value" $path) .value "[0-9]*[1-9][0-9]*([.][0-9]+)?|0*[.]0*[1-9][0-9]*|0+[.]0*[1-9][0-9]*" "a number above 0, as a text") }}
{{- if and .enabled (not $worker.queues) }}
{{ $path }}.autoscaling: scales by the length of queues, so {{ $path }}.queues must name them, such as default.MESSAGE_CREATE
{{- end }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{ $path }}.autoscaling: minReplicas ({{ .minReplicas }}) is more than maxReplicas ({{ .maxReplicas }})
{{- end }}
{{- if and (eq .protocol "amqp") (ne .mode "QueueLength") }}
{{ $path }}.autoscaling: the protocol amqp only tells the length of a queue; use http for the mode {{ .mode }}
{{- end }}
{{- end }}
{{- $tasks := splitList "," $worker.tasks | join " " | splitList " " | compact | sortAlpha | join "," }}
{{- range $other := $seen }}
{{- if ne $tasks $other.tasks }}
{{- $both := list }}
{{- range $worker.queues }}{{ if has . $other.queues }}{{ $both = append $both . }}{{ end }}{{ end }}
{{- if $both }}
{{ $path }}.queues: {{ join ", " $both }} is of workers.{{ $other.name }} too, with other tasks: a message goes to one of them, which has not all of its handlers; give both the same tasks
{{- else if not (and $worker.queues $other.queues) }}
{{ $path }}.tasks: are not those of workers.{{ $other.name }}, so both groups must name their queues: a message of a queue of both goes to one of them, which has not all of its handlers
{{- end }}
{{- end }}
{{- end }}
{{- $seen = append $seen (dict "name" $name "tasks" $tasks "queues" $worker.queues) }}
{{- end }}
{{- end -}}
