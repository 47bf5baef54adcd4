module gindock-test-crds

go 1.27.0

require (
	github.com/argoproj/argo-rollouts v1.10.2
	github.com/external-secrets/external-secrets v1.3.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.7.0
)
