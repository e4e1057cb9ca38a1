package uri

// The URLs of a server's own endpoints.

import "errors"

// CheckPublic says why text cannot be the URL of a server's endpoint or key
// set: it must use https, or http on a loopback host, and have no fragment.
func CheckPublic(text string) error {
	parsed, err := Parse(text)
	switch {
	case err != nil:
		return err
	case parsed.HasFragment:
		return errors.New("must not have a fragment")
	case parsed.Kind() == PrivateUse || parsed.Kind() == HTTP:
		return errors.New("must use https, or http on 127.0.0.1, [::1] or localhost")
	}
	return nil
}
