{{- define "fewstep.labels" -}}
app.kubernetes.io/name: fewstep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fewstep.keySecret" -}}
{{- if .Values.keys.secret }}{{ .Values.keys.secret }}{{ else if .Values.keys.lines }}{{ .Release.Name }}-keys{{ end }}
{{- end }}
