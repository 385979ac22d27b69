{{- /* What the manifests have in common. Each takes (dict "root" $ "component" NAME …). */ -}}

{{- define "physlab.selector" -}}
app.kubernetes.io/name: physlab
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "physlab.labels" -}}
{{ include "physlab.selector" . }}
app.kubernetes.io/part-of: physlab
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{- define "physlab.image" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ required "an image needs a tag or a digest" .tag }}{{ end }}
{{- end }}

{{- define "physlab.apiUrl" -}}
{{ if .Values.server.enabled }}http://physlab-server:4200/api{{ else }}{{ required "server.apiUrl is needed where server.enabled is false" .Values.server.apiUrl }}{{ end }}
{{- end }}

{{- /* The pod's part of every workload; "user" is the image's uid. */ -}}
{{- define "physlab.pod" -}}
serviceAccountName: physlab-{{ .account | default "services" }}
automountServiceAccountToken: {{ eq (.account | default "services") "worker" }}
enableServiceLinks: false
priorityClassName: physlab-service
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* The container's part; requests are limits, so that nothing is evicted for what another one took. */ -}}
{{- define "physlab.container" -}}
imagePullPolicy: {{ .root.Values.imagePullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  requests: {{- toYaml .resources | nindent 4 }}
  limits: {{- toYaml .resources | nindent 4 }}
{{- end }}

{{- /* The places that physlab's image writes to; everything else is read-only. */ -}}
{{- define "physlab.mounts" -}}
- name: scratch
  mountPath: /scratch
- name: tmp
  mountPath: /tmp
{{- end }}

{{- define "physlab.volumes" -}}
- name: scratch
  emptyDir:
    sizeLimit: 1Gi
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- end }}

{{- define "physlab.serverEnv" -}}
- name: PREFECT_SERVER_DATABASE_DRIVER
  value: postgresql+asyncpg
- name: PREFECT_SERVER_DATABASE_HOST
  value: physlab-database
- name: PREFECT_SERVER_DATABASE_PORT
  value: "5432"
- name: PREFECT_SERVER_DATABASE_USER
  value: prefect
- name: PREFECT_SERVER_DATABASE_NAME
  value: prefect
- name: PREFECT_SERVER_DATABASE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.database }}
      key: password
- name: PREFECT_SERVER_DATABASE_MIGRATE_ON_START
  value: "false"
- name: PREFECT_MESSAGING_BROKER
  value: prefect_redis.messaging
- name: PREFECT_MESSAGING_CACHE
  value: prefect_redis.messaging
- name: PREFECT_SERVER_EVENTS_CAUSAL_ORDERING
  value: prefect_redis.ordering
- name: PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE
  value: prefect_redis.lease_storage
- name: PREFECT_REDIS_MESSAGING_HOST
  value: physlab-queue
- name: PREFECT_REDIS_MESSAGING_PORT
  value: "6379"
- name: PREFECT_REDIS_MESSAGING_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.queue }}
      key: password
- name: PREFECT_SERVER_DOCKET_URL
  value: redis://:$(PREFECT_REDIS_MESSAGING_PASSWORD)@physlab-queue:6379/1
- name: PREFECT_SERVER_API_AUTH_STRING
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.server }}
      key: auth-string
- name: PREFECT_SERVER_ANALYTICS_ENABLED
  value: "false"
- name: PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT
  value: "false"
{{- end }}

{{- define "physlab.peers" -}}
{{- range . }}
- podSelector:
    matchLabels:
      app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "physlab.backends" -}}
- to: {{- include "physlab.peers" (list "database") | trim | nindent 4 }}
  ports:
    - {port: 5432, protocol: TCP}
- to: {{- include "physlab.peers" (list "queue") | trim | nindent 4 }}
  ports:
    - {port: 6379, protocol: TCP}
{{- end }}

{{- define "physlab.claim" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .storage }}
{{- end }}
