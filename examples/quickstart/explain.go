package main

// The page at /, which shows what would happen to a registration.

import (
	"log/slog"
	"net/http"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/explainpage"
	"github.com/dynreg/dcr/examples/internal/presets"
)

// explainPage returns the page, which explains the decision of this server or of a
// preset. The handler in it is not mounted, so that nobody can register under a preset
// that the flags did not choose.
func (s *settings) explainPage(store dcr.ClientConfigurationStore) (http.Handler, error) {
	options, open := s.options, presets.Open()
	options.Policies, options.Logger = open.Policies(s.validator), slog.New(slog.DiscardHandler)
	handler, err := dcr.NewHandler(store, &options)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, preset := range open {
		names = append(names, preset.Name)
	}
	return explainpage.New(handler, names), nil
}
