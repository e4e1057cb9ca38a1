package main

// The page at /, on which a person reads what would become of a registration.

import (
	"log/slog"
	"net/http"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/explainpage"
	"github.com/dynreg/dcr/examples/internal/presets"
)

// explainPage judges as this server does, or by a preset. Its handler serves no
// requests, so that nobody registers under a preset that the flags did not choose.
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
