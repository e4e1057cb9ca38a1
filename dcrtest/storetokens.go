package dcrtest

// Initial access tokens, and values that may be used once.

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dynreg/dcr"
)

var tokenCases = []storeCase{
	{"Token", "An initial access token is stored complete, as a copy of the caller's struct, and is found only by its hash.", token},
	{"TokenUses", "Each use is counted, and no use beyond MaxUses succeeds. If MaxUses is zero, there is no limit.", tokenUses},
	{"TokenExpires", "From ExpiresAt on, a use of the token returns ErrTokenUsedUp.", tokenExpires},
	{"TokenRelease", "Each release takes back one use of that token, which can be used again. Releasing a token that is gone is not an error.", tokenRelease},
	{"TokenDelete", "Finding, using or deleting a deleted token returns ErrTokenNotFound. It is not listed, and other tokens stay.", tokenDelete},
	{"TokenList", "A listing has complete tokens, newest first, in pages that leave none out. A cursor that the store did not make is an error.", tokenList},
	{"TokenUsesAtOnce", "When a token with ten uses is used a hundred times at once, exactly ten uses succeed.", tokenUsesAtOnce},
}

var forgetCases = []storeCase{
	{"Forget", "A forgotten value is fresh once more, and no other value is affected. Forgetting a value that is not remembered is not an error.", forget},
	{"ForgetAtOnce", "When many goroutines remember one value, and forget it again if it was fresh, it is fresh for only one of them at a time.", forgetAtOnce},
}

var replayCases = []storeCase{
	{"Remember", "A value is fresh only once until its time ends, and values do not affect each other.", remember},
	{"RememberWithAFastClock", "A value is remembered for an hour after its end, for hosts whose clocks are slow.", rememberWithAFastClock},
	{"RememberAtOnce", "When many goroutines remember one value at once, it is fresh for one of them.", rememberAtOnce},
}

func newToken(hash string, uses int) *dcr.InitialAccessToken {
	return &dcr.InitialAccessToken{Hash: hash, Policy: "mcp", Subject: "söme one", Notes: "for the CI", MaxUses: uses, CreatedAt: day(0), ExpiresAt: day(10)}
}

// withToken adds the token to the store, and calls check with the store's tokens.
func withToken(ctx context.Context, store dcr.ClientConfigurationStore, token *dcr.InitialAccessToken, check func(dcr.InitialAccessTokenStore) error) error {
	tokens, err := capability[dcr.InitialAccessTokenStore](store)
	if err != nil {
		return err
	}
	if err := tokens.AddInitialAccessToken(ctx, token); err != nil {
		return fmt.Errorf("AddInitialAccessToken failed: %w", err)
	}
	return check(tokens)
}

func token(ctx context.Context, store dcr.ClientConfigurationStore) error {
	original, given := newToken("hash", 3), newToken("hash", 3)
	return withToken(ctx, store, given, func(tokens dcr.InitialAccessTokenStore) error {
		given.Subject = "someone else"
		for range 2 {
			found, err := tokens.FindInitialAccessToken(ctx, "hash")
			if err != nil {
				return fmt.Errorf("FindInitialAccessToken failed: %w", err)
			}
			if *found != *original {
				return fmt.Errorf("FindInitialAccessToken returned %+v, not %+v", *found, *original)
			}
			found.Subject = "someone else"
		}
		if err := tokens.AddInitialAccessToken(ctx, newToken("hash", 100)); err == nil {
			return errors.New("a second token with the same hash was added")
		}
		_, err := tokens.FindInitialAccessToken(ctx, "HASH")
		return errors.Join(
			want("FindInitialAccessToken of another hash", err, dcr.ErrTokenNotFound),
			want("UseInitialAccessToken of another hash", tokens.UseInitialAccessToken(ctx, "HASH", day(1)), dcr.ErrTokenNotFound))
	})
}

func tokenUses(ctx context.Context, store dcr.ClientConfigurationStore) error {
	return withToken(ctx, store, newToken("two", 2), func(tokens dcr.InitialAccessTokenStore) error {
		if err := tokens.AddInitialAccessToken(ctx, newToken("any", 0)); err != nil {
			return err
		}
		for use := 1; use <= 4; use++ {
			if err := want("UseInitialAccessToken of a token without a limit", tokens.UseInitialAccessToken(ctx, "any", day(1)), nil); err != nil {
				return err
			}
			var expected error
			if use > 2 {
				expected = dcr.ErrTokenUsedUp
			}
			if err := want(fmt.Sprintf("use %d of 2", use), tokens.UseInitialAccessToken(ctx, "two", day(1)), expected); err != nil {
				return err
			}
			found, err := tokens.FindInitialAccessToken(ctx, "two")
			if err != nil || found.Uses != min(use, 2) {
				return fmt.Errorf("after %d uses of 2, FindInitialAccessToken returned %+v and %v", use, found, err)
			}
		}
		return nil
	})
}

func tokenExpires(ctx context.Context, store dcr.ClientConfigurationStore) error {
	return withToken(ctx, store, newToken("hash", 0), func(tokens dcr.InitialAccessTokenStore) error {
		forever := newToken("forever", 0)
		forever.ExpiresAt = time.Time{}
		return errors.Join(
			tokens.AddInitialAccessToken(ctx, forever),
			want("a use before ExpiresAt", tokens.UseInitialAccessToken(ctx, "hash", day(10).Add(-time.Second)), nil),
			want("a use at ExpiresAt", tokens.UseInitialAccessToken(ctx, "hash", day(10)), dcr.ErrTokenUsedUp),
			want("a use after ExpiresAt", tokens.UseInitialAccessToken(ctx, "hash", day(11)), dcr.ErrTokenUsedUp),
			want("a use of a token that never expires", tokens.UseInitialAccessToken(ctx, "forever", day(9999)), nil))
	})
}

func tokenRelease(ctx context.Context, store dcr.ClientConfigurationStore) error {
	return withToken(ctx, store, newToken("hash", 1), func(tokens dcr.InitialAccessTokenStore) error {
		use := func() error { return tokens.UseInitialAccessToken(ctx, "hash", day(1)) }
		release := func(hash string) error { return tokens.ReleaseInitialAccessToken(ctx, hash) }
		if err := tokens.AddInitialAccessToken(ctx, newToken("three", 3)); err != nil {
			return fmt.Errorf("AddInitialAccessToken failed: %w", err)
		}
		for range 3 {
			if err := want("a use of 3", tokens.UseInitialAccessToken(ctx, "three", day(1)), nil); err != nil {
				return err
			}
		}
		if err := want("releasing one use of 3", release("three"), nil); err != nil {
			return err
		}
		if found, err := tokens.FindInitialAccessToken(ctx, "three"); err != nil || found.Uses != 2 {
			return fmt.Errorf("after one release of 3 uses, FindInitialAccessToken returned %+v and %v", found, err)
		}
		return errors.Join(
			want("a third use after a release", tokens.UseInitialAccessToken(ctx, "three", day(1)), nil),
			want("releasing a token that has no uses", release("hash"), nil),
			want("the first use", use(), nil),
			want("a second use", use(), dcr.ErrTokenUsedUp),
			want("releasing", release("hash"), nil),
			want("a use after a release", use(), nil),
			want("another use after one release", use(), dcr.ErrTokenUsedUp),
			want("a use of a token after another was released", tokens.UseInitialAccessToken(ctx, "three", day(1)), dcr.ErrTokenUsedUp),
			want("releasing a token that is gone", release("gone"), nil))
	})
}

func tokenDelete(ctx context.Context, store dcr.ClientConfigurationStore) error {
	return withToken(ctx, store, newToken("hash", 5), func(tokens dcr.InitialAccessTokenStore) error {
		if err := tokens.AddInitialAccessToken(ctx, newToken("hash2", 5)); err != nil {
			return fmt.Errorf("AddInitialAccessToken failed: %w", err)
		}
		if err := tokens.DeleteInitialAccessToken(ctx, "hash"); err != nil {
			return fmt.Errorf("DeleteInitialAccessToken failed: %w", err)
		}
		if _, err := tokens.FindInitialAccessToken(ctx, "hash2"); err != nil {
			return fmt.Errorf("after another token was deleted, FindInitialAccessToken failed: %w", err)
		}
		if lister, ok := dcr.StoreAs[dcr.InitialAccessTokenLister](store); ok {
			list, _, err := lister.ListInitialAccessTokens(ctx, "", 10)
			if err != nil || len(list) != 1 || list[0].Hash != "hash2" {
				return fmt.Errorf("after one of two tokens was deleted, ListInitialAccessTokens returned %+v and %v", list, err)
			}
		}
		_, err := tokens.FindInitialAccessToken(ctx, "hash")
		return errors.Join(
			want("FindInitialAccessToken after a delete", err, dcr.ErrTokenNotFound),
			want("UseInitialAccessToken after a delete", tokens.UseInitialAccessToken(ctx, "hash", day(1)), dcr.ErrTokenNotFound),
			want("a second DeleteInitialAccessToken", tokens.DeleteInitialAccessToken(ctx, "hash"), dcr.ErrTokenNotFound))
	})
}

func tokenList(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.InitialAccessTokenLister](store)
	if err != nil {
		return err
	}
	tokens, err := capability[dcr.InitialAccessTokenStore](store)
	if err != nil {
		return err
	}
	want := map[string]dcr.InitialAccessToken{}
	for n := range 7 {
		token := newToken(fmt.Sprint("hash-", n), 5)
		token.CreatedAt = day(n / 2) // two at a time
		if err := tokens.AddInitialAccessToken(ctx, token); err != nil {
			return fmt.Errorf("AddInitialAccessToken failed: %w", err)
		}
		want[token.Hash] = *token
	}
	if err := tokens.UseInitialAccessToken(ctx, "hash-3", day(1)); err != nil {
		return fmt.Errorf("UseInitialAccessToken failed: %w", err)
	}
	used := want["hash-3"]
	used.Uses++
	want["hash-3"] = used
	var got []dcr.InitialAccessToken
	for cursor, pages := "", 0; ; pages++ {
		page, next, err := lister.ListInitialAccessTokens(ctx, cursor, 3)
		if err != nil {
			return fmt.Errorf("ListInitialAccessTokens failed: %w", err)
		}
		got = append(got, page...)
		if cursor = next; next == "" {
			break
		}
		if len(page) != 3 || pages > 3 {
			return fmt.Errorf("a page of 3 that is not the last has %d tokens", len(page))
		}
	}
	for i, token := range got {
		if i > 0 && token.CreatedAt.After(got[i-1].CreatedAt) {
			return fmt.Errorf("a token issued at %v came after one issued at %v", token.CreatedAt, got[i-1].CreatedAt)
		}
		if token != want[token.Hash] {
			return fmt.Errorf("the listing has %+v, not %+v", token, want[token.Hash])
		}
		delete(want, token.Hash)
	}
	if len(got) != 7 || len(want) != 0 {
		return fmt.Errorf("the listing has %d of 7 tokens, and left out %d", len(got), len(want))
	}
	if _, _, err := lister.ListInitialAccessTokens(ctx, "nonsense", 3); err == nil {
		return errors.New("a cursor that the store did not make was accepted")
	}
	return nil
}

func tokenUsesAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	return withToken(ctx, store, newToken("hash", 10), func(tokens dcr.InitialAccessTokenStore) error {
		var used atomic.Int64
		err := together(100, func(int) error {
			err := tokens.UseInitialAccessToken(ctx, "hash", day(1))
			if err == nil {
				used.Add(1)
			}
			if errors.Is(err, dcr.ErrTokenUsedUp) {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("UseInitialAccessToken failed: %w", err)
		}
		if used.Load() != 10 {
			return fmt.Errorf("a token with 10 uses was used %d times", used.Load())
		}
		return nil
	})
}

func remember(ctx context.Context, store dcr.ClientConfigurationStore) error {
	replays, err := capability[dcr.ReplayStore](store)
	if err != nil {
		return err
	}
	for i, step := range []struct {
		value      string
		until, now int
		fresh      bool
	}{
		{"one", 10, 1, true},
		{"one", 10, 1, false},
		{"one", 20, 9, false}, // a replay does not prolong what is remembered
		{"two", 10, 1, true},
		{"One", 10, 1, true},
		{"one ", 10, 1, true},
		{long(5000) + "1", 10, 1, true},
		{long(5000) + "2", 10, 1, true},
		{long(5000) + "1", 10, 1, false},
		{"one", 30, 10, true}, // its time has ended
		{"one", 30, 11, false},
	} {
		fresh, err := replays.Remember(ctx, step.value, day(step.until), day(step.now))
		if err != nil {
			return fmt.Errorf("Remember failed: %w", err)
		}
		if fresh != step.fresh {
			return fmt.Errorf("step %d: Remember(%.10q) on day %d returned %v, not %v", i+1, step.value, step.now, fresh, step.fresh)
		}
	}
	return nil
}

func rememberWithAFastClock(ctx context.Context, store dcr.ClientConfigurationStore) error {
	replays, err := capability[dcr.ReplayStore](store)
	if err != nil {
		return err
	}
	const end = 10
	use := func(value string, until, now time.Time) (bool, error) {
		fresh, err := replays.Remember(ctx, value, until, now)
		if err != nil {
			err = fmt.Errorf("Remember failed: %w", err)
		}
		return fresh, err
	}
	if _, err := use("value", day(end), day(end).Add(-time.Minute)); err != nil {
		return err
	}
	const others = 1100 // after this many, the stores of this module have cleaned up
	fast := day(end).Add(time.Hour - time.Minute)
	err = together(crowd, func(i int) error {
		for n := range others / crowd {
			if _, err := use(fmt.Sprintf("other-%d-%d", i, n), day(end+1), fast); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fresh, err := use("value", day(end), day(end).Add(-time.Minute))
	if err == nil && fresh {
		return errors.New("a value was fresh again too early, because a host with a fast clock cleaned up")
	}
	return err
}

func rememberAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	replays, err := capability[dcr.ReplayStore](store)
	if err != nil {
		return err
	}
	for round := range 3 { // the later rounds find an expired value
		var fresh atomic.Int64
		err := together(crowd, func(int) error {
			first, err := replays.Remember(ctx, "value", day(10*round+10), day(10*round))
			if first {
				fresh.Add(1)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("Remember failed: %w", err)
		}
		if fresh.Load() != 1 {
			return fmt.Errorf("of %d goroutines that remembered one value at once, %d found it fresh", crowd, fresh.Load())
		}
	}
	return nil
}

// forgetter returns the store's capabilities to remember and to forget.
func forgetter(store dcr.ClientConfigurationStore) (dcr.ReplayStore, dcr.ReplayForgetter, error) {
	replays, err := capability[dcr.ReplayStore](store)
	if err != nil {
		return nil, nil, err
	}
	forgetter, err := capability[dcr.ReplayForgetter](store)
	return replays, forgetter, err
}

func forget(ctx context.Context, store dcr.ClientConfigurationStore) error {
	replays, forgetter, err := forgetter(store)
	if err != nil {
		return err
	}
	fresh := func(value string, wanted bool) error {
		got, err := replays.Remember(ctx, value, day(10), day(1))
		if err == nil && got != wanted {
			err = fmt.Errorf("Remember(%.10q) returned %v, not %v", value, got, wanted)
		}
		return err
	}
	for _, value := range []string{"one", long(5000)} {
		if err := errors.Join(
			want("Forget of a value that is not remembered", forgetter.Forget(ctx, value), nil),
			fresh(value, true), fresh(value+"2", true), fresh(value, false),
			want("Forget", forgetter.Forget(ctx, value), nil),
			fresh(value, true), fresh(value, false), fresh(value+"2", false),
		); err != nil {
			return err
		}
	}
	return nil
}

func forgetAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	replays, forgetter, err := forgetter(store)
	if err != nil {
		return err
	}
	var holders, taken atomic.Int64
	err = together(crowd, func(int) error {
		for range 5 {
			fresh, err := replays.Remember(ctx, "value", day(10), day(1))
			if err != nil || !fresh {
				return err
			}
			taken.Add(1)
			if holders.Add(1) > 1 {
				return errors.New("one value was fresh for two goroutines at once")
			}
			holders.Add(-1)
			if err := forgetter.Forget(ctx, "value"); err != nil {
				return fmt.Errorf("Forget failed: %w", err)
			}
		}
		return nil
	})
	if err == nil && taken.Load() == 0 {
		err = errors.New("no goroutine found a new value fresh")
	}
	return err
}
