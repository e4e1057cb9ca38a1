// Package base62 writes random text of letters and digits alone, which no encoder
// touches: clients form-encode the hyphen and the underscore of base64url in their
// credentials (RFC 6749 §2.3.1), and servers that decode nothing refuse them.
package base62

import "crypto/rand"

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Text returns length random characters, each of 5.95 bits.
func Text(length int) string {
	const fair = 256 / len(alphabet) * len(alphabet) // what lies beyond would favour some
	text := make([]byte, 0, length)
	for buffer := make([]byte, length); len(text) < length; {
		rand.Read(buffer) // never fails: see crypto/rand
		for _, b := range buffer {
			if int(b) < fair && len(text) < length {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}

// Length is how many characters have as many bits as size bytes.
func Length(size int) int { return (size*8*100_000 + 595_418) / 595_419 }
