// Command client makes one call, and prints what it is answered.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", os.Getenv("TRACEPARENT"))
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	health := grpc_health_v1.NewHealthClient(connection)
	switch os.Args[2] {
	case "check":
		var answer *grpc_health_v1.HealthCheckResponse
		if answer, err = health.Check(ctx, nil); err == nil {
			fmt.Println(answer.GetStatus())
		}
	case "watch":
		watch, _ := health.Watch(ctx, nil)
		for err == nil {
			var answer *grpc_health_v1.HealthCheckResponse
			if answer, err = watch.Recv(); err == nil {
				fmt.Println(answer.GetStatus())
			}
		}
	default:
		duration, _ := time.ParseDuration(os.Args[2])
		err = connection.Invoke(ctx, "/test.Waiter/Wait", durationpb.New(duration), new(emptypb.Empty))
	}
	fmt.Println(status.Code(err), status.Convert(err).Message())
}
