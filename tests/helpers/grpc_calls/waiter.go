package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// registerWaiter adds a service as protoc-gen-go-grpc generates it.
func registerWaiter(rpc grpc.ServiceRegistrar) {
	rpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Waiter",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Wait", Handler: handleWait}},
	}, struct{}{})
}

func handleWait(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	request := new(durationpb.Duration)
	if err := decode(request); err != nil {
		return nil, err
	}
	return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: "/test.Waiter/Wait"}, wait)
}

// wait waits for as long as it is asked to; below zero, it fails in one of two ways.
func wait(ctx context.Context, request any) (any, error) {
	switch duration := request.(*durationpb.Duration).AsDuration(); duration {
	case -time.Second:
		return nil, errors.New("password hunter2")
	case -2 * time.Second:
		panic("password hunter2")
	default:
		select {
		case <-time.After(duration):
			return new(emptypb.Empty), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
