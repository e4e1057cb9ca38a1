// Package base62 makes random text that has only letters and digits, which no
// encoder changes. Some clients form-encode the hyphen and the underscore of
// base64url in their credentials (RFC 6749 §2.3.1), and servers that do not decode
// those refuse them.
package base62

import (
	"crypto/rand"
	"strings"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// character maps a random byte to its character, or to 0 if using the byte
// would favour some characters.
var character = func() (of [256]byte) {
	for b := range 256 / len(alphabet) * len(alphabet) {
		of[b] = alphabet[b%len(alphabet)]
	}
	return of
}()

// Text returns length random characters, each of 5.95 bits.
func Text(length int) string {
	var random [64]byte
	var text strings.Builder
	text.Grow(length)
	for text.Len() < length {
		missing := length - text.Len()
		drawn := random[:min(len(random), missing+missing/8+4)] // rarely too few
		rand.Read(drawn)                                        // never fails: see crypto/rand
		kept := 0
		for _, b := range drawn {
			random[kept] = character[b] // overwrites a byte that was already read
			if character[b] != 0 {
				kept++
			}
		}
		text.Write(random[:min(kept, missing)])
	}
	return text.String()
}

// Length returns how many characters have as many bits as size bytes.
func Length(size int) int { return (size*8*100_000 + 595_418) / 595_419 }
