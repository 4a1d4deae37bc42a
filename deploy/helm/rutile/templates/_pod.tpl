{{/* The pod of a component; its flags are the template `rutile.<component>.args`. */}}
{{- define "rutile.pod" -}}
{{- $pod := merge (deepCopy (.values.pod | default dict)) .root.Values.pod -}}
{{- $image := .root.Values.image -}}
metadata:
  labels:
    {{- include "rutile.podSelector" . | nindent 4 }}
    app.kubernetes.io/part-of: rutile
  {{- $annotations := $pod.annotations }}
  {{- if and .bucket .root.Values.bucket.config }}
  {{- /* Another configuration of the bucket makes other pods. */}}
  {{- $annotations = merge (dict "checksum/bucket" (.root.Values.bucket.config | toYaml | sha256sum)) $annotations }}
  {{- end }}
  {{- with $annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "rutile.name" . }}
  automountServiceAccountToken: false
  {{- with $image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65534
    runAsGroup: 65534
    fsGroup: 65534
    seccompProfile: {type: RuntimeDefault}
  # Two on one machine would go with it.
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "rutile.podSelector" . | nindent 16 }}
  {{- with $pod.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $pod.terminationGracePeriodSeconds }}
  containers:
    - name: rutile-{{ .component }}
      image: {{ printf "%s:%s" $image.repository ($image.tag | default .root.Chart.AppVersion) | quote }}
      imagePullPolicy: {{ $image.pullPolicy }}
      args:
        - {{ .component }}
        {{- include (printf "rutile.%s.args" .component) . | nindent 8 }}
        {{- with concat .values.extraArgs (dig "extraArgs" list (.shard | default dict)) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $pod.env }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- range $name, $port := .ports }}
        - {name: {{ $name }}, containerPort: {{ $port }}}
        {{- end }}
      # The first look at a large bucket takes its time.
      startupProbe:
        httpGet: {path: /-/healthy, port: http}
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /-/healthy, port: http}
        periodSeconds: 30
        failureThreshold: 4
      readinessProbe:
        httpGet: {path: /-/ready, port: http}
        periodSeconds: 5
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: data, mountPath: /data}
        {{- if .bucket }}
        - {name: bucket, mountPath: /etc/rutile, readOnly: true}
        {{- end }}
        {{- with $pod.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- $volumes := $pod.volumes }}
  {{- if .bucket }}
  {{- $volumes = append $volumes (dict "name" "bucket" "secret" (dict "secretName" (include "rutile.bucketSecret" .root))) }}
  {{- end }}
  {{- if not .values.storage }}
  {{- $volumes = append $volumes (dict "name" "data" "emptyDir" (dict "sizeLimit" "64Mi")) }}
  {{- end }}
  volumes: {{- toYaml $volumes | nindent 4 }}
{{- end }}
