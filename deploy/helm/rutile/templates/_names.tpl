{{/* What the names of all objects begin with. */}}
{{- define "rutile.fullname" -}}
{{- $ofRelease := ternary .Release.Name (printf "%s-rutile" .Release.Name) (contains "rutile" .Release.Name) -}}
{{- .Values.fullnameOverride | default $ofRelease | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/*
The templates below and in the other files are about one component, and take a dict:
  root       the context of the chart
  component  its name
  values     its values
  ports      of each name the number
  bucket     whether it has one
  shard      of the store gateway: an element of `store.shards`
*/}}

{{- define "rutile.name" -}}
{{ include "rutile.fullname" .root }}-{{ .component }}
{{- end }}

{{/* What a component is selected by. Its name is also the job that Prometheus knows it by, which the alerts look for. */}}
{{- define "rutile.selector" -}}
app.kubernetes.io/name: rutile-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "rutile.labels" -}}
{{ include "rutile.selector" . }}
app.kubernetes.io/part-of: rutile
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What the pods of a workload are selected by: those of one shard, where there are shards. */}}
{{- define "rutile.podSelector" -}}
{{ include "rutile.selector" . }}
{{- with .shard }}
shard: {{ .name | quote }}
{{- end }}
{{- end }}

{{- define "rutile.bucketSecret" -}}
{{ ternary (printf "%s-bucket" (include "rutile.fullname" .)) .Values.bucket.secret (not (empty .Values.bucket.config)) }}
{{- end }}
