// Command registry is a registry of images on loopback, in memory. It prints its two addresses: the
// first is open, the second wants a token, as public registries do.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	open, guarded := listen(), listen()
	fmt.Println(open.Addr(), guarded.Addr())
	go func() { log.Fatal(http.Serve(guarded, tokens(images, guarded.Addr().String()))) }()
	log.Fatal(http.Serve(open, images))
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

// tokens lets in who brings the token that it gives at /token for the scope that it names.
func tokens(next http.Handler, addr string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("service") != "loopback" || r.FormValue("scope") == "" {
			http.Error(w, "no service, or no scope", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"token": "for %s"}`, r.FormValue("scope"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			challenge := `Bearer realm="http://%s/token",service="loopback",scope="repository:%s:pull"`
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(challenge, addr, r.URL.Path))
			http.Error(w, `{"errors": [{"code": "UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
	return mux
}
