package memstore

// Deleting unused clients.

import (
	"context"
	"errors"

	"github.com/dynreg/dcr"
)

// SweepClients deletes unused clients; see [dcr.ClientSweeper].
func (s *Store) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	var swept int64
	for client, err := range s.ListClients(ctx, dcr.Filter{}, "") {
		if err != nil {
			return swept, err
		}
		if !rule.Selects(client) {
			continue
		}
		if rule.DryRun {
			swept++
			continue
		}
		if rule.BeforeDelete != nil {
			err := rule.BeforeDelete(ctx, client.Clone()) // which may change it
			if errors.Is(err, dcr.ErrKeepClient) {
				continue
			}
			if err != nil {
				return swept, err
			}
		}
		if s.deleteIf(client, rule.Selects) {
			swept++
			if rule.AfterDelete != nil {
				rule.AfterDelete(ctx, client)
			}
		}
	}
	return swept, nil
}

// deleteIf deletes a client if nobody changed it since it was read and selects
// still accepts it.
func (s *Store) deleteIf(read *dcr.Client, selects func(*dcr.Client) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, e := s.clients.find(read.ID)
	if e == nil || e.revision != read.Revision {
		return false
	}
	client, err := s.stored(number, e).client()
	if err != nil || !selects(client) {
		return false
	}
	s.drop(number, e, read.ID)
	return true
}
