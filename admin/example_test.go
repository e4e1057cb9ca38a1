package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/memstore"
)

// The pages are mounted behind the host's own login, which decides who is an
// operator.
func ExampleNewHandler() {
	operations := &admin.Admin{Store: memstore.New(), Events: dcr.LogEvents(nil)}
	pages, err := admin.NewHandler(operations, &admin.PageOptions{
		Path: "/admin/clients/",
		Operator: func(r *http.Request) (string, error) {
			name, _, ok := r.BasicAuth() // instead of a session
			if !ok {
				return "", errors.New("nobody is logged in")
			}
			return name, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/clients/", pages)

	for _, name := range []string{"olga", ""} {
		r := httptest.NewRequest("GET", "/admin/clients/", nil)
		if name != "" {
			r.SetBasicAuth(name, "secret")
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Cache-Control"))
	}
	// Output:
	// 200 no-store
	// 403 no-store
}
