package guard

// What the header of an answer says about the document: RFC 9110 section 8.3.1
// (media types).

import (
	"errors"
	"mime"
)

func mediaType(header string) string {
	media, _, err := mime.ParseMediaType(header)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return media
}
