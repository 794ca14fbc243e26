// Package stream holds what is known about streams as bytes: which blobs are SD blobs, which content blobs one names, and
// how a file becomes a stream and a stream a file. An SD blob is the JSON descriptor of a stream; it gates all of the
// stream, so caches keep it longer.
//
// The package is pure: bytes in, values out. It trusts nothing that it is given.
package stream

import (
	"bytes"
	"encoding/json"

	"github.com/OdyseeTeam/prism/blob"
)

// Sniff tells an SD blob from a content blob: a body that starts with `{`, parses as JSON and has a stream_hash that
// is not empty is blob.KindSD; everything else is blob.KindContent. It checks nothing more, because a blob that fails
// the stricter checks of a reader still gates its stream for others. data is only read.
//
// Content is encrypted, so one content blob in 256 starts with `{`; nearly all of those fail to parse within a few
// bytes.
func Sniff(data []byte) blob.Kind {
	if !MaySniff(data) {
		return blob.KindContent
	}
	var sd struct {
		StreamHash string `json:"stream_hash"`
	}
	if json.Unmarshal(data, &sd) != nil || sd.StreamHash == "" {
		return blob.KindContent
	}
	return blob.KindSD
}

// MaySniff says whether bytes with that beginning, which may be all of them, can be an SD blob by Sniff: a `{`, and then
// the text that is the first key. It is for who reads the beginning first: of content it passes about one in 65,536.
func MaySniff(head []byte) bool {
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	rest := bytes.TrimLeft(head[1:], " \t\r\n")
	return len(rest) == 0 || rest[0] == '"'
}
