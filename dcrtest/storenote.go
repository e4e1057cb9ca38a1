package dcrtest

// Notes of documents and consents, and eviction.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

var noteCases = []storeCase{
	{"NoteDocument", "NoteDocument replaces the client's document record, as often as it is called, without a new Revision.", noteDocument},
	{"NoteDocumentAndUpdate", "A note between a read and an update causes no conflict and is not lost; an update with a newer record replaces it.", noteDocumentAndUpdate},
	{"NoteConsent", "The first consent sets ActivatedBy. Each consent counts as a use, and none makes a new Revision.", noteConsent},
	{"NoteConsentAndUpdate", "A consent between a read and an update is not lost, and filters find the client by it.", noteConsentAndUpdate},
	{"NoteConsentAtOnce", "When many first consents are noted at once, one is kept.", noteConsentAtOnce},
	{"NoteNothing", "A note for a client that does not exist returns ErrClientNotFound.", noteNothing},
}

var evictCases = []storeCase{
	{"Evict", "EvictClient deletes the oldest active client of SourceDynamic or SourceDocument that was never used, one per call, and returns when the next one was created.", evict},
	{"EvictFollows", "A client that has been used, disabled or deleted is not evicted; one that has been enabled can be.", evictFollows},
	{"EvictAtOnce", "Evictions that run at once delete different clients.", evictAtOnce},
}

// record returns the record of a document that was fetched on that day.
func record(fetched int) *dcr.DocumentRecord {
	return &dcr.DocumentRecord{FetchedAt: day(fetched), FreshUntil: day(fetched + 1), SHA256: fmt.Sprint("hash-", fetched), AuthMethods: []string{"none", "private_key_jwt"}}
}

func noteDocument(ctx context.Context, store dcr.ClientConfigurationStore) error {
	noter, err := capability[dcr.DocumentNoter](store)
	if err != nil {
		return err
	}
	client, other := newClient("https://app.example.com/client"), newClient("other")
	client.Source = dcr.SourceDocument
	if err := add(ctx, store, client, other); err != nil {
		return err
	}
	withdrawn := *record(3)
	withdrawn.Withdrawn = day(4).Add(time.Nanosecond)
	newer := dcr.DocumentRecord{} // has a member that this version does not know
	if err := json.Unmarshal([]byte(`{"sha256":"hash","of_2031":{"n":[2.50,"é"]}}`), &newer); err != nil {
		return err
	}
	for i, noted := range []dcr.DocumentRecord{*record(1), *record(2), *record(2), {FetchedAt: day(2), FreshUntil: day(9)}, withdrawn, newer, *record(5), {}} {
		if _, err := store.FindByClientID(ctx, client.ID); err != nil { // so that a cache keeps it
			return err
		}
		given := noted.Clone()
		if err := noter.NoteDocument(ctx, client.ID, *given); err != nil {
			return fmt.Errorf("NoteDocument failed: %w", err)
		}
		if len(given.AuthMethods) > 0 {
			given.AuthMethods[0] = "changed by the caller"
		}
		client.Document = &noted
		if err := wantStored(ctx, store, client); err != nil {
			return fmt.Errorf("after note %d: %w", i, err)
		}
	}
	return wantStored(ctx, store, other)
}

func noteDocumentAndUpdate(ctx context.Context, store dcr.ClientConfigurationStore) error {
	noter, err := capability[dcr.DocumentNoter](store)
	if err != nil {
		return err
	}
	client := newClient("https://app.example.com/client")
	client.Document = record(1)
	if err := add(ctx, store, client); err != nil {
		return err
	}
	note := func(noted *dcr.DocumentRecord) error { return noter.NoteDocument(ctx, client.ID, *noted) }
	if err := note(record(3)); err != nil {
		return err
	}
	client.ClientName = "Renamed" // read before the note
	if err := store.Update(ctx, client); err != nil {
		return fmt.Errorf("Update after a note failed: %w", err)
	}
	expected := client.Clone()
	expected.Document = record(3)
	if err := wantStored(ctx, store, expected); err != nil {
		return fmt.Errorf("after a note and an update: %w", err)
	}
	client.Document = record(5)
	if err := store.Update(ctx, client); err != nil {
		return err
	}
	if err := wantStored(ctx, store, client); err != nil {
		return fmt.Errorf("after an update with a newer record: %w", err)
	}
	if err := note(record(4)); err != nil { // the last note wins
		return err
	}
	client.Document = record(4)
	return wantStored(ctx, store, client)
}

func noteConsent(ctx context.Context, store dcr.ClientConfigurationStore) error {
	noter, err := capability[dcr.ConsentNoter](store)
	if err != nil {
		return err
	}
	client, other, imported := newClient("one"), newClient("other"), newClient("imported")
	imported.ActivatedBy = "somebody"
	if err := add(ctx, store, client, other, imported); err != nil {
		return err
	}
	long := "söme \x01 \"one\" " + long(1000)
	for i, step := range []struct {
		person string
		at     time.Time
		used   time.Time
	}{
		{long, day(10), day(10)},
		{"two", day(20), day(20)},
		{"three", day(15), day(20)},
		{long, day(21), day(21)},
	} {
		if _, err := store.FindByClientID(ctx, "one"); err != nil { // so that a cache keeps it
			return err
		}
		if err := dcr.NoteConsent(ctx, store, "one", step.person, step.at); err != nil {
			return fmt.Errorf("NoteConsent failed: %w", err)
		}
		client.ActivatedAt, client.LastUsedAt, client.ActivatedBy = day(10), step.used, long
		if err := wantStored(ctx, store, client); err != nil {
			return fmt.Errorf("after consent %d: %w", i, err)
		}
	}
	if err := noter.NoteConsent(ctx, "imported", "another", day(1)); err != nil {
		return fmt.Errorf("NoteConsent failed: %w", err)
	}
	imported.ActivatedAt, imported.LastUsedAt = day(1), day(1)
	return errors.Join(wantStored(ctx, store, other), wantStored(ctx, store, imported))
}

func noteConsentAndUpdate(ctx context.Context, store dcr.ClientConfigurationStore) error {
	noter, err := capability[dcr.ConsentNoter](store)
	if err != nil {
		return err
	}
	client := newClient("one")
	client.SoftwareID = "software"
	if err := add(ctx, store, client, newClient("other")); err != nil {
		return err
	}
	if err := noter.NoteConsent(ctx, "one", "somebody", day(10)); err != nil {
		return fmt.Errorf("NoteConsent failed: %w", err)
	}
	for round := range 2 {
		client.ClientName, client.SoftwareID = fmt.Sprint("Name ", round), fmt.Sprint("software-", round)
		if err := store.Update(ctx, client); err != nil { // read before the consent
			return fmt.Errorf("Update after a consent failed: %w", err)
		}
		expected := client.Clone()
		expected.ActivatedAt, expected.LastUsedAt, expected.ActivatedBy = day(10), day(10), "somebody"
		if err := wantStored(ctx, store, expected); err != nil {
			return fmt.Errorf("after a consent and an update: %w", err)
		}
		lister, ok := dcr.StoreAs[dcr.ClientLister](store)
		if !ok {
			continue
		}
		for filter, want := range map[dcr.Filter][]string{{ActivatedBy: "somebody"}: {"one"}, {SoftwareID: client.SoftwareID}: {"one"}, {ActivatedBy: "else"}: nil} {
			got, err := listed(ctx, lister, filter, "")
			if err := errors.Join(err, wantIDs(fmt.Sprintf("a listing filtered by %+v", filter), got, want)); err != nil {
				return err
			}
		}
	}
	return nil
}

func noteConsentAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	noter, err := capability[dcr.ConsentNoter](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, newClient("one")); err != nil {
		return err
	}
	if err := together(crowd, func(i int) error { return noter.NoteConsent(ctx, "one", fmt.Sprint("person-", i), day(100+i)) }); err != nil {
		return fmt.Errorf("NoteConsent failed: %w", err)
	}
	first, err := store.FindByClientID(ctx, "one")
	if err == nil && (first.ActivatedBy == "" || first.ActivatedAt.IsZero() || !first.LastUsedAt.Equal(day(100+crowd-1))) {
		err = fmt.Errorf("the client was activated by %q at %v and last used at %v", first.ActivatedBy, first.ActivatedAt, first.LastUsedAt)
	}
	return err
}

func noteNothing(ctx context.Context, store dcr.ClientConfigurationStore) error {
	documents, hasDocuments := dcr.StoreAs[dcr.DocumentNoter](store)
	consents, hasConsents := dcr.StoreAs[dcr.ConsentNoter](store)
	if !hasDocuments && !hasConsents {
		return fmt.Errorf("%w: dcr.DocumentNoter or dcr.ConsentNoter", errLacks)
	}
	for _, id := range oddIDs {
		if hasDocuments {
			if err := want(fmt.Sprintf("NoteDocument of %.20q", id), documents.NoteDocument(ctx, id, *record(1)), dcr.ErrClientNotFound); err != nil {
				return err
			}
		}
		if hasConsents {
			if err := want(fmt.Sprintf("NoteConsent of %.20q", id), consents.NoteConsent(ctx, id, "somebody", day(1)), dcr.ErrClientNotFound); err != nil {
				return err
			}
		}
	}
	return nil
}

// evictable returns clients, the oldest first. Those with an even index may be
// evicted.
func evictable() []*dcr.Client {
	clients := make([]*dcr.Client, 12)
	for i := range clients {
		client := newClient(fmt.Sprintf("client-%02d", 50-i)) // the ids are not in the order of age
		client.CreatedAt = day(i)
		switch i {
		case 1:
			client.Status = dcr.StatusPending
		case 2, 6:
			client.Source = dcr.SourceDocument
		case 3:
			client.Status = dcr.StatusDisabled
		case 5:
			client.Source = "imported"
		case 7:
			client.ActivatedAt, client.LastUsedAt = day(20), day(20)
		case 9:
			client.Source = ""
		case 11:
			client.ActivatedAt = day(20)
		}
		clients[i] = client
	}
	return clients
}

// wantEvicted evicts once.
func wantEvicted(ctx context.Context, store dcr.ClientConfigurationStore, before time.Time, evicted *dcr.Client, next time.Time) error {
	evictor, err := capability[dcr.ClientEvictor](store)
	if err != nil {
		return err
	}
	got, gotNext, err := evictor.EvictClient(ctx, before)
	switch {
	case err != nil:
		return fmt.Errorf("EvictClient failed: %w", err)
	case !gotNext.Equal(next):
		return fmt.Errorf("EvictClient returned that the next client was created at %v, not %v", gotNext, next)
	case evicted == nil && got == nil:
		return nil
	case evicted == nil:
		return fmt.Errorf("EvictClient evicted %q, although no client may be evicted", got.ID)
	case got == nil:
		return fmt.Errorf("EvictClient evicted nothing, not %q", evicted.ID)
	}
	_, err = store.FindByClientID(ctx, evicted.ID)
	return errors.Join(sameClient(got, evicted), want("FindByClientID of an evicted client", err, dcr.ErrClientNotFound))
}

func evict(ctx context.Context, store dcr.ClientConfigurationStore) error {
	clients := evictable()
	for n := range clients { // not in the order of age
		if err := add(ctx, store, clients[n*5%12]); err != nil {
			return err
		}
	}
	for _, c := range clients { // so that a cache keeps them
		if _, err := store.FindByClientID(ctx, c.ID); err != nil {
			return err
		}
	}
	if err := wantEvicted(ctx, store, day(0), nil, day(0)); err != nil {
		return fmt.Errorf("before the first client may be evicted: %w", err)
	}
	for i := 0; i < 12; i += 2 {
		var next time.Time
		if i < 10 {
			next = day(i + 2)
		}
		if err := wantEvicted(ctx, store, day(30), clients[i], next); err != nil {
			return fmt.Errorf("eviction %d: %w", i/2, err)
		}
	}
	if err := wantEvicted(ctx, store, day(30), nil, time.Time{}); err != nil {
		return err
	}
	for i := 1; i < 12; i += 2 {
		if err := wantStored(ctx, store, clients[i]); err != nil {
			return err
		}
	}
	return nil
}

func evictFollows(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	var clients [6]*dcr.Client
	for i := range clients {
		clients[i] = newClient(fmt.Sprint("client-", i))
		clients[i].CreatedAt = day(i)
		if i == 4 {
			clients[i].Status = dcr.StatusPending
		}
		if err := add(ctx, store, clients[i]); err != nil {
			return err
		}
	}
	clients[1].Status, clients[4].Status = dcr.StatusDisabled, dcr.StatusActive
	if err := errors.Join(
		toucher.TouchClient(ctx, clients[0].ID, day(50)),
		store.Update(ctx, clients[1]),
		store.Delete(ctx, clients[2].ID),
		store.Update(ctx, clients[4]),
	); err != nil {
		return err
	}
	return errors.Join(
		wantEvicted(ctx, store, day(90), clients[3], day(4)),
		wantEvicted(ctx, store, day(90), clients[4], day(5)),
		wantEvicted(ctx, store, day(5), nil, day(5)),
		wantEvicted(ctx, store, day(90), clients[5], time.Time{}))
}

func evictAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	evictor, err := capability[dcr.ClientEvictor](store)
	if err != nil {
		return err
	}
	for i := range crowd {
		client := newClient(fmt.Sprint("client-", i))
		client.CreatedAt = day(i)
		if err := add(ctx, store, client); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	gone := map[string]bool{}
	if err := together(crowd, func(int) error {
		evicted, _, err := evictor.EvictClient(ctx, day(1000))
		if err != nil || evicted == nil {
			return errors.Join(err, errors.New("nothing was evicted"))
		}
		mu.Lock()
		defer mu.Unlock()
		gone[evicted.ID] = true
		return nil
	}); err != nil {
		return fmt.Errorf("EvictClient failed: %w", err)
	}
	if len(gone) != crowd {
		return fmt.Errorf("%d evictions at once deleted %d clients", crowd, len(gone))
	}
	return nil
}
