package guard

// What the header of an answer says about the document: RFC 9110 section 8.3.1
// (media types).

import (
	"mime"
	"strings"
)

// mediaType returns a Content-Type without its parameters, well-formed or not.
func mediaType(header string) string {
	media, _, _ := strings.Cut(header, ";")
	media, _, err := mime.ParseMediaType(media)
	if err != nil {
		return ""
	}
	return media
}
