// Package base62 writes random text of letters and digits alone, which no encoder
// touches: clients form-encode the hyphen and the underscore of base64url in their
// credentials (RFC 6749 §2.3.1), and servers that decode nothing refuse them.
package base62

import (
	"crypto/rand"
	"strings"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// character is what a random byte stands for, 0 where it would favour some.
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
		drawn := random[:min(len(random), missing+missing/8+4)] // hardly ever too few
		rand.Read(drawn)                                        // never fails: see crypto/rand
		kept := 0
		for _, b := range drawn {
			random[kept] = character[b] // over what was read already
			if character[b] != 0 {
				kept++
			}
		}
		text.Write(random[:min(kept, missing)])
	}
	return text.String()
}

// Length is how many characters have as many bits as size bytes.
func Length(size int) int { return (size*8*100_000 + 595_418) / 595_419 }
