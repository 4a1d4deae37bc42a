{{- define "rutile.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "rutile.name" . }}
  labels: {{- include "rutile.labels" . | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
# No component talks to Kubernetes.
automountServiceAccountToken: false
{{- end }}

{{/* `headless`: queriers find every pod by its SRV records. `podLabels`: of pods that are not of this chart. */}}
{{- define "rutile.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "rutile.name" . }}
  labels: {{- include "rutile.labels" . | nindent 4 }}
spec:
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  selector: {{- .podLabels | default (include "rutile.selector" . | fromYaml) | toYaml | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - {name: {{ $name }}, port: {{ $port }}}
    {{- end }}
{{- end }}

{{- define "rutile.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "rutile.name" . }}
  labels: {{- include "rutile.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "rutile.selector" . | nindent 6 }}
{{- end }}

{{/* The volume of each pod of a StatefulSet. */}}
{{- define "rutile.dataClaims" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .values.storage.className }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests: {storage: {{ .values.storage.size }}}
{{- end }}
