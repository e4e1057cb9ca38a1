package dcrtest

// Listing and counting clients.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dynreg/dcr"
)

var listCases = []storeCase{
	{"ListInOrder", "A listing yields every client once and complete, in the byte order of the ids, over any number of pages.", listInOrder},
	{"ListAfter", "A listing starts after the given id, whether or not a client has that id.", listAfter},
	{"ListFiltered", "A listing and a count apply each condition of the filter, alone and together.", listFiltered},
	{"ListFewOfMany", "A filter that selects few of many clients finds all of these, however many others are between them.", listFewOfMany},
	{"ListFollows", "After an update, or a delete and a new add, a client is listed, counted and found by its current values only.", listFollows},
	{"ListWithoutDeleted", "A client that was deleted, swept or evicted is not listed, counted or found by its statement, and its id can be added again.", listWithoutDeleted},
	{"ListStops", "A listing stops when the loop ends, and returns an error when its context is cancelled.", listStops},
	{"ListWhileWriting", "The body of a loop over a listing may use the store.", listWhileWriting},
	{"FindByStatement", "The clients of a software statement are found by its issuer and id together.", findByStatement},
}

func listed(ctx context.Context, lister dcr.ClientLister, filter dcr.Filter, after string) (ids []string, err error) {
	for client, err := range lister.ListClients(ctx, filter, after) {
		if err != nil {
			return ids, fmt.Errorf("the listing failed: %w", err)
		}
		ids = append(ids, client.ID)
	}
	return ids, nil
}

func wantIDs(what string, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%s yielded %.300q, not %.300q", what, got, want)
}

func listInOrder(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.ClientLister](store)
	if err != nil {
		return err
	}
	ids := []string{"B", "Z", "a", "b", "z", "é", "_", "客", "a b", "a-b"}
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("client-%04d", i*7919%450))
	}
	clients := map[string]*dcr.Client{}
	for _, id := range ids {
		clients[id] = newClient(id)
		if err := add(ctx, store, clients[id]); err != nil {
			return err
		}
	}
	slices.Sort(ids)
	var got []string
	for client, err := range lister.ListClients(ctx, dcr.Filter{}, "") {
		if err != nil {
			return fmt.Errorf("the listing failed: %w", err)
		}
		got = append(got, client.ID)
		if want := clients[client.ID]; want == nil {
			return fmt.Errorf("the listing yielded %q, which was never added", client.ID)
		} else if err := sameClient(client, want); err != nil {
			return fmt.Errorf("the listing yielded a client that differs from the one that was added: %w", err)
		}
	}
	return wantIDs("the listing", got, ids)
}

func listAfter(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.ClientLister](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, newClient("a"), newClient("b"), newClient("d")); err != nil {
		return err
	}
	for after, want := range map[string][]string{"": {"a", "b", "d"}, "a": {"b", "d"}, "c": {"d"}, "d": nil, "z": nil, "b\x00": {"d"}, "a\xff": {"b", "d"}} {
		got, err := listed(ctx, lister, dcr.Filter{}, after)
		if err := errors.Join(err, wantIDs(fmt.Sprintf("the listing after %q", after), got, want)); err != nil {
			return err
		}
	}
	return nil
}

// varied returns clients that differ in the fields that filters select by.
func varied() []*dcr.Client {
	clients := make([]*dcr.Client, 8)
	for i := range clients {
		client := newClient(fmt.Sprintf("client-%d", i))
		client.CreatedAt = day(i)
		if i%2 == 1 {
			client.SoftwareID = "software"
		}
		if i >= 4 {
			client.RegisteredBy = "caller"
		}
		if i%3 == 1 {
			client.Status = dcr.StatusPending
		}
		if i == 6 {
			client.Policy = "mcp"
			client.Source = dcr.SourceDocument
		}
		if i == 3 {
			client.ClientName = "Émile's \"50%\" Tool"
			client.RedirectURIs = []string{"com.example.tool:/callback", "https://tool.example.com:8443/callback", "http://[::1]/", "http://127.0.0.1:0/"}
		}
		if i == 2 || i == 5 {
			client.ActivatedAt, client.LastUsedAt, client.ActivatedBy = day(20+i), day(20+i), fmt.Sprint("person-", i)
		}
		clients[i] = client
	}
	clients[0].SoftwareID = "Software" // not the same as "software"
	return clients
}

func listFiltered(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.ClientLister](store)
	if err != nil {
		return err
	}
	counter, counts := dcr.StoreAs[dcr.ClientCounter](store)
	if err := add(ctx, store, varied()...); err != nil {
		return err
	}
	for _, c := range filters() {
		ids := numbered(c.want)
		got, err := listed(ctx, lister, c.filter, "")
		if err := errors.Join(err, wantIDs("a listing filtered by "+c.name, got, ids)); err != nil {
			return err
		}
		if !counts {
			continue
		}
		count, err := counter.CountClients(ctx, c.filter)
		if err != nil || count != int64(len(ids)) {
			return fmt.Errorf("a count filtered by %s returned %d and %v, not %d", c.name, count, err, len(ids))
		}
	}
	return nil
}

// numbered returns the ids of the clients of varied with these numbers.
func numbered(numbers string) (ids []string) {
	for _, number := range numbers {
		ids = append(ids, "client-"+string(number))
	}
	return ids
}

// filterCase is a filter and the numbers of the clients of varied that it
// selects.
type filterCase struct {
	name   string
	filter dcr.Filter
	want   string
}

func filters() []filterCase {
	active, pending := dcr.StatusActive, dcr.StatusPending
	document, host := dcr.SourceDocument, dcr.Source("")
	return []filterCase{
		{"no condition", dcr.Filter{}, "01234567"},
		{"SoftwareID", dcr.Filter{SoftwareID: "software"}, "1357"},
		{"RegisteredBy", dcr.Filter{RegisteredBy: "caller"}, "4567"},
		{"Policy", dcr.Filter{Policy: "mcp"}, "6"},
		{"Status pending", dcr.Filter{Status: &pending}, "147"},
		{"Status active", dcr.Filter{Status: &active}, "02356"},
		{"CreatedAfter, inclusive", dcr.Filter{CreatedAfter: day(5)}, "567"},
		{"CreatedBefore, exclusive", dcr.Filter{CreatedBefore: day(2)}, "01"},
		{"CreatedAfter and CreatedBefore", dcr.Filter{CreatedAfter: day(2), CreatedBefore: day(4)}, "23"},
		{"all together", dcr.Filter{SoftwareID: "software", RegisteredBy: "caller", Status: &pending, CreatedAfter: day(1), CreatedBefore: day(9)}, "7"},
		{"Source", dcr.Filter{Source: &document}, "6"},
		{"the empty Source", dcr.Filter{Source: &host}, ""},
		{"NeverActivated", dcr.Filter{NeverActivated: true}, "013467"},
		{"UsedBefore, by the last use or, without one, by the age", dcr.Filter{UsedBefore: day(25)}, "0123467"},
		{"UsedBefore and CreatedAfter", dcr.Filter{UsedBefore: day(6), CreatedAfter: day(1)}, "134"},
		{"UsedBefore and NeverActivated", dcr.Filter{UsedBefore: day(4), NeverActivated: true}, "013"},
		{"ActivatedBy", dcr.Filter{ActivatedBy: "person-5"}, "5"},
		{"ActivatedBy in another case", dcr.Filter{ActivatedBy: "Person-5"}, ""},
		{"RedirectHost, of any redirect URI", dcr.Filter{RedirectHost: "tool.example.com"}, "3"},
		{"RedirectHost, ignoring case", dcr.Filter{RedirectHost: "App.Example.COM"}, "0124567"},
		{"RedirectHost, an address", dcr.Filter{RedirectHost: "::1"}, "3"},
		{"RedirectHost, an address in another form", dcr.Filter{RedirectHost: "[0:0::1]"}, "3"},
		{"RedirectHost, of a redirect URI with any port", dcr.Filter{RedirectHost: "127.0.0.1"}, "3"},
		{"RedirectHost, of which only the end matches", dcr.Filter{RedirectHost: "example.com"}, ""},
		{"NamePrefix, ignoring case", dcr.Filter{NamePrefix: "éMILE'S \"50%"}, "3"},
		{"NamePrefix, which is not a pattern", dcr.Filter{NamePrefix: "%"}, ""},
		{"NamePrefix, at the beginning only", dcr.Filter{NamePrefix: "lient"}, ""},
		{"NamePrefix and Status", dcr.Filter{NamePrefix: "client", Status: &active}, "0256"},
		{"other conditions together", dcr.Filter{Source: &document, NeverActivated: true, UsedBefore: day(9), Policy: "mcp", NamePrefix: "Client", RedirectHost: "app.example.com", Status: &active}, "6"},
		{"a value that no client has", dcr.Filter{SoftwareID: "' OR '1'='1"}, ""},
		{"a very long text", dcr.Filter{SoftwareID: long(5000)}, ""},
	}
}

// listFollows takes one client through versions that differ in every field that
// clients are searched by.
func listFollows(ctx context.Context, store dcr.ClientConfigurationStore) error {
	var versions [5]*dcr.Client
	for i := range versions {
		version := newClient("one")
		if i%2 == 1 {
			version.SoftwareID, version.RegisteredBy = fmt.Sprint("software-", i), fmt.Sprint("caller-", i)
			version.Status, version.Policy = dcr.StatusDisabled, fmt.Sprint("policy-", i)
			version.Statement = &dcr.StatementRecord{Issuer: "https://a", ID: fmt.Sprint(i)}
			version.Source, version.ClientName = dcr.Source(fmt.Sprint("source-", i)), fmt.Sprint("Name ", i)
			version.RedirectURIs = []string{fmt.Sprintf("https://app-%d.example.com/", i)}
		}
		versions[i] = version
	}
	versions[3].Statement, versions[3].Status = nil, dcr.StatusPending
	for now, version := range versions {
		var err error
		switch now {
		case 0:
			err = add(ctx, store, version)
		case 3: // as if it were new
			err = errors.Join(store.Delete(ctx, "one"), add(ctx, store, version))
		default:
			version.Revision = versions[now-1].Revision
			err = store.Update(ctx, version)
		}
		if err == nil {
			err = foundByItself(ctx, store, versions[:], version)
		}
		if err != nil {
			return fmt.Errorf("while version %d is stored: %w", now, err)
		}
	}
	return nil
}

// foundByItself checks that the client is found by the values of the version that
// is stored, and not by values that only other versions have.
func foundByItself(ctx context.Context, store dcr.ClientConfigurationStore, versions []*dcr.Client, stored *dcr.Client) error {
	lister, err := capability[dcr.ClientLister](store)
	if err != nil {
		return err
	}
	want := map[bool][]string{true: {"one"}}
	finder, finds := dcr.StoreAs[dcr.StatementFinder](store)
	counter, counts := dcr.StoreAs[dcr.ClientCounter](store)
	newest, listsNewest := dcr.StoreAs[dcr.RecentClientLister](store)
	for i, version := range versions {
		for name, filter := range map[string]dcr.Filter{
			"SoftwareID": {SoftwareID: version.SoftwareID}, "RegisteredBy": {RegisteredBy: version.RegisteredBy},
			"Policy": {Policy: version.Policy}, "Status": {Status: &version.Status}, "Source": {Source: &version.Source},
			"ClientName": {NamePrefix: version.ClientName}, "RedirectURIs": {RedirectHost: hostOf(version)},
		} {
			now := want[filter.Selects(stored)]
			got, err := listed(ctx, lister, filter, "")
			if err := errors.Join(err, wantIDs(fmt.Sprintf("a listing by the %s of version %d", name, i), got, now)); err != nil {
				return err
			}
			if counts {
				if count, err := counter.CountClients(ctx, filter); err != nil || count != int64(len(now)) {
					return fmt.Errorf("a count by the %s of version %d returned %d and %v, not %d", name, i, count, err, len(now))
				}
			}
			if listsNewest {
				got, err := recent(ctx, newest, filter, 10, whatever)
				if err := errors.Join(err, wantIDs(fmt.Sprintf("a list of recent clients by the %s of version %d", name, i), got, now)); err != nil {
					return err
				}
			}
		}
		if !finds || version.Statement == nil {
			continue
		}
		got, err := finder.FindByStatement(ctx, version.Statement.Issuer, version.Statement.ID)
		if err := errors.Join(err, wantIDs(fmt.Sprintf("FindByStatement of version %d", i), got, want[version == stored])); err != nil {
			return err
		}
	}
	return nil
}

func hostOf(client *dcr.Client) string {
	redirect, _ := dcr.ParseURI(client.RedirectURIs[0])
	return redirect.Host
}

func listStops(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.ClientLister](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, varied()...); err != nil {
		return err
	}
	for range lister.ListClients(ctx, dcr.Filter{}, "") {
		break // a store that continues now panics
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := listed(cancelled, lister, dcr.Filter{}, ""); err == nil && len(got) < 8 {
		return fmt.Errorf("a listing with a cancelled context ended after %d of 8 clients without an error", len(got))
	}
	return nil
}

func listWhileWriting(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.ClientLister](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, varied()...); err != nil {
		return err
	}
	for client, err := range lister.ListClients(ctx, dcr.Filter{}, "") {
		if err != nil {
			return fmt.Errorf("the listing failed: %w", err)
		}
		if err := store.Delete(ctx, client.ID); err != nil {
			return fmt.Errorf("Delete within a listing failed: %w", err)
		}
	}
	left, err := listed(ctx, lister, dcr.Filter{}, "")
	return errors.Join(err, wantIDs("a listing after a loop that deleted every client", left, nil))
}

func findByStatement(ctx context.Context, store dcr.ClientConfigurationStore) error {
	finder, err := capability[dcr.StatementFinder](store)
	if err != nil {
		return err
	}
	for i, statement := range []*dcr.StatementRecord{
		nil, {Issuer: "https://a", ID: "1"}, {Issuer: "https://a", ID: "2"}, {Issuer: "https://b", ID: "1"}, {Issuer: "https://a", ID: "1"},
		{Issuer: "https://" + long(2000), ID: long(2000)},
	} {
		client := newClient(fmt.Sprintf("client-%d", i))
		client.Statement = statement
		if err := add(ctx, store, client); err != nil {
			return err
		}
	}
	moved, err := store.FindByClientID(ctx, "client-2")
	if err != nil {
		return err
	}
	moved.Statement = &dcr.StatementRecord{Issuer: "https://a", ID: "3"}
	if err := store.Update(ctx, moved); err != nil {
		return err
	}
	for _, c := range []struct {
		issuer, id string
		want       []string
	}{
		{"https://a", "1", []string{"client-1", "client-4"}},
		{"https://b", "1", []string{"client-3"}},
		{"https://a", "2", nil},
		{"https://a", "3", []string{"client-2"}},
		{"https://A", "1", nil},
		{"https://" + long(2000), long(2000), []string{"client-5"}},
	} {
		got, err := finder.FindByStatement(ctx, c.issuer, c.id)
		if err := errors.Join(err, wantIDs(fmt.Sprintf("FindByStatement(%.40q, %.40q)", c.issuer, c.id), got, c.want)); err != nil {
			return err
		}
	}
	return nil
}
