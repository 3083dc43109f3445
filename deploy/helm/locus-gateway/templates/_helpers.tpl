{{- define "locus.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "locus.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "locus.labels" -}}
{{ include "locus.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "locus.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "locus.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "locus.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}


{{- define "locus.port" -}}
{{ dig "gateway" "port" 4000 .Values.portfolio }}
{{- end -}}

{{- define "locus.environment" -}}
{{- with .Values.secretNames }}
envFrom:
  {{- range . }}
  - secretRef: { name: {{ . | quote }} }
  {{- end }}
{{- end }}
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "locus.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "locus.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* Refuses values with which the gateway would not start, or would multiply its limits. */}}
{{- define "locus.check" -}}
{{- $gateway := .Values.portfolio.gateway | default dict -}}
{{- $replicas := ternary .Values.autoscaling.maxReplicas .Values.replicaCount .Values.autoscaling.enabled | int -}}
{{- if and (gt $replicas 1) (not $gateway.shared) (ne (default "" $gateway.replicas) "independent") -}}
{{- fail "several replicas need portfolio.gateway.shared (Valkey), or portfolio.gateway.replicas: independent, with which each replica has the whole of every limit" -}}
{{- end -}}
{{- if and .Values.migration.enabled (not $gateway.store) -}}
{{- fail "migration.enabled needs portfolio.gateway.store (PostgreSQL); without a store set migration.enabled to false" -}}
{{- end -}}
{{- if not $gateway.keys -}}
{{- if not .Values.portfolio.keys -}}
{{- fail "portfolio.gateway.keys or portfolio.keys must name a key: without keys the gateway serves its own machine only" -}}
{{- end -}}
{{- end -}}
{{- end -}}
