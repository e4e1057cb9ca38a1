package cachestore_test

import (
	"fmt"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// The endpoints read through the cache. A Handler reads past it, and removes from it
// what it changes.
func ExampleNew() {
	cache := cachestore.New(memstore.New(), &cachestore.Options{TTL: 10 * time.Second})
	handler, err := dcr.NewHandler(cache, &dcr.Options{Endpoint: "https://id.example.com/connect/dcr"})
	if err != nil {
		fmt.Println(err)
		return
	}
	clients := &clientauth.Authenticator{Store: cache, Audience: []string{"https://id.example.com"}}
	fmt.Println(handler.Endpoint(), clients.Audience)
	// Output: https://id.example.com/connect/dcr [https://id.example.com]
}
