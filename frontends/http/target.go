package httpd

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// route is what a request asks for.
type route uint8

const (
	routeNone   route = iota // a path that names nothing here
	routeBlob                // /blob?hash=H
	routeObject              // /H and /PREFIX/H
	routeGet                 // /get/H
	routeHas                 // /has/H
	routeHealth              // /healthz
	routeReady               // /readyz
	routeCount
)

// String is the route's name in statistics.
func (r route) String() string {
	return [routeCount]string{"none", "blob", "object", "get", "has", "healthz", "readyz"}[r]
}

// target is a request's path and query, understood.
type target struct {
	route  route
	hash   blob.Hash
	name   string // the hash as it came, which is its wire form
	token  string // a secret
	traced bool   // whether a trace was asked for
	via    bool   // whether the answer carries Via
}

// errBadQuery is a query that could mean two things, or that does not decode.
var errBadQuery = errors.New("malformed query")

// parseTarget reads a decoded path and a raw query. Errors are blob.ErrInvalidHash and errBadQuery, wrapped; the route
// is right even then. A path that names nothing is no error but routeNone: an object store does not know /favicon.ico
// either.
func parseTarget(path, query string) (target, error) {
	t := target{via: true}
	switch {
	case path == httpblob.BlobPath:
		t.route = routeBlob
	case strings.HasPrefix(path, httpblob.GetPrefix):
		t.route, t.name, t.via = routeGet, path[len(httpblob.GetPrefix):], false
	case strings.HasPrefix(path, httpblob.HasPrefix):
		t.route, t.name, t.via = routeHas, path[len(httpblob.HasPrefix):], false
	case path == "/healthz":
		t.route = routeHealth
		return t, nil
	case path == "/readyz":
		t.route = routeReady
		return t, nil
	default:
		if t.name = objectName(path); t.name == "" {
			return target{}, nil
		}
		t.route = routeObject
	}
	if err := t.readQuery(query); err != nil {
		return target{route: t.route}, err
	}
	var err error
	if t.hash, err = blob.ParseHash(t.name); err != nil {
		if t.route == routeObject {
			return target{}, nil
		}
		return target{route: t.route}, err
	}
	return t, nil
}

// objectName is H of /H and /PREFIX/H, or "" when path has neither form. It does not look at the characters of H.
func objectName(path string) string {
	path, ok := strings.CutPrefix(path, "/")
	if !ok || len(path) < blob.HexSize {
		return ""
	}
	at := len(path) - blob.HexSize
	prefix, name := path[:at], path[at:]
	if prefix == "" {
		return name
	}
	prefix, ok = strings.CutSuffix(prefix, "/")
	if !ok || prefix == "" || !strings.HasPrefix(name, prefix) {
		return ""
	}
	return name
}

// readQuery takes what the route knows from the query: each parameter at most once, in any order; others are ignored.
// Only & separates. It allocates nothing unless something is percent-encoded.
func (t *target) readQuery(query string) error {
	var hash, token, trace string
	var seen [3]bool
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		key, err := unescape(key)
		if err != nil {
			continue // no name of ours
		}
		var at int
		var into *string
		switch key {
		case httpblob.HashParam:
			at, into = 0, &hash
		case httpblob.TokenParam:
			at, into = 1, &token
		case "trace":
			at, into = 2, &trace
		default:
			continue
		}
		if seen[at] {
			return fmt.Errorf("%w: %s is given twice", errBadQuery, key)
		}
		seen[at] = true
		if *into, err = unescape(value); err != nil {
			return fmt.Errorf("%w: %s does not decode", errBadQuery, key)
		}
	}
	if t.route == routeBlob {
		t.name = hash
	}
	t.token = token
	t.traced, _ = strconv.ParseBool(trace) // what is no boolean asks for no trace
	if t.route == routeGet {
		t.via = t.traced
	}
	return nil
}

// unescape decodes one name or value of a query.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}
