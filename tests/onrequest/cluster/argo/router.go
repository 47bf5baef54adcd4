// Command router stands in for Argo Rollouts' Gateway API plugin, which is in no Go module: it
// gives the canary its share of an HTTPRoute, and does nothing else.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/rollout/trafficrouting/plugin/rpc"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

const name = "argoproj-labs/gatewayAPI"

var routes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}

type router struct{ client dynamic.Interface }

func (r *router) InitPlugin() types.RpcError {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		r.client, err = dynamic.NewForConfig(config)
	}
	return failure(err)
}

func (r *router) SetWeight(rollout *v1alpha1.Rollout, weight int32, _ []v1alpha1.WeightDestination) types.RpcError {
	return failure(r.setWeight(rollout, int64(weight)))
}

func (r *router) setWeight(rollout *v1alpha1.Rollout, weight int64) error {
	canary := rollout.Spec.Strategy.Canary
	var its struct{ HTTPRoute, Namespace string }
	if err := json.Unmarshal(canary.TrafficRouting.Plugins[name], &its); err != nil {
		return err
	}
	ctx, client := context.Background(), r.client.Resource(routes).Namespace(its.Namespace)
	route, err := client.Get(ctx, its.HTTPRoute, metav1.GetOptions{})
	if err != nil {
		return err
	}
	weights := map[string]int64{canary.CanaryService: weight, canary.StableService: 100 - weight}
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "rules")
	if err != nil {
		return err
	}
	found := 0
	for _, rule := range rules {
		backends, _, err := unstructured.NestedSlice(rule.(map[string]any), "backendRefs")
		if err != nil {
			return err
		}
		for _, each := range backends {
			backend := each.(map[string]any)
			if weight, ok := weights[backend["name"].(string)]; ok {
				backend["weight"] = weight
				found++
			}
		}
		rule.(map[string]any)["backendRefs"] = backends
	}
	if found == 0 {
		return fmt.Errorf("the HTTPRoute %s has neither Service", its.HTTPRoute)
	}
	if err := unstructured.SetNestedSlice(route.Object, rules, "spec", "rules"); err != nil {
		return err
	}
	_, err = client.Update(ctx, route, metav1.UpdateOptions{})
	return err
}

func (*router) UpdateHash(*v1alpha1.Rollout, string, string, []v1alpha1.WeightDestination) types.RpcError {
	return types.RpcError{}
}

func (*router) SetHeaderRoute(*v1alpha1.Rollout, *v1alpha1.SetHeaderRoute) types.RpcError {
	return types.RpcError{}
}

func (*router) SetMirrorRoute(*v1alpha1.Rollout, *v1alpha1.SetMirrorRoute) types.RpcError {
	return types.RpcError{}
}

func (*router) RemoveManagedRoutes(*v1alpha1.Rollout) types.RpcError { return types.RpcError{} }

func (*router) VerifyWeight(*v1alpha1.Rollout, int32, []v1alpha1.WeightDestination) (types.RpcVerified, types.RpcError) {
	return types.NotImplemented, types.RpcError{}
}

func (*router) Type() string { return name }

func failure(err error) types.RpcError {
	if err != nil {
		return types.RpcError{ErrorString: err.Error()}
	}
	return types.RpcError{}
}

func main() {
	go func() {
		// A controller that is killed takes no plugin with it.
		for parent := os.Getppid(); os.Getppid() == parent; {
			time.Sleep(time.Second)
		}
		os.Exit(1)
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
			MagicCookieValue: "trafficrouter",
		},
		Plugins: map[string]plugin.Plugin{
			"RpcTrafficRouterPlugin": &rpc.RpcTrafficRouterPlugin{Impl: &router{}},
		},
	})
}
