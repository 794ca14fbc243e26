package httpd

import (
	"math"
	"net/http"
	"strings"
)

// span is a part of a blob.
type span struct{ off, n int64 }

// rangeVerdict is what to do with a Range header.
type rangeVerdict uint8

const (
	rangeIgnored       rangeVerdict = iota // answer with the whole blob
	rangeGood                              // answer with the part
	rangeUnsatisfiable                     // 416
)

// parseRange reads one Range header for a blob of size bytes, as RFC 9110 section 14 has it. Only one range of bytes is
// honoured. Whatever is malformed, of another unit, or a list is ignored, which the RFC allows and which costs the
// client nothing but bytes. Numbers of any length are understood: what does not fit is larger than every blob.
func parseRange(header string, size int64) (span, rangeVerdict) {
	unit, spec, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return span{}, rangeIgnored
	}
	from, to, ok := strings.Cut(strings.Trim(spec, " \t"), "-")
	if !ok {
		return span{}, rangeIgnored
	}
	if from == "" {
		n, ok := position(to)
		switch n = min(n, size); {
		case !ok:
			return span{}, rangeIgnored
		case n == 0:
			return span{}, rangeUnsatisfiable
		}
		return span{size - n, n}, rangeGood
	}
	first, ok := position(from)
	last, okLast := int64(math.MaxInt64), true
	if to != "" {
		last, okLast = position(to)
	}
	switch {
	case !ok || !okLast || last < first:
		return span{}, rangeIgnored
	case first >= size:
		return span{}, rangeUnsatisfiable
	}
	return span{first, min(last, size-1) - first + 1}, rangeGood
}

// position is the value of one or more digits, or math.MaxInt64 when they say more.
func position(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 {
			return 0, false
		}
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	return n, s != ""
}

// rangeOf is the part of a blob that the request wants, given its entity tag.
func rangeOf(h http.Header, etag string, size int64) (span, rangeVerdict) {
	values := h["Range"]
	if len(values) != 1 {
		return span{}, rangeIgnored
	}
	// If-Range compares strongly, and a date never matches: blobs have none.
	if only := h["If-Range"]; len(only) > 1 || len(only) == 1 && strings.Trim(only[0], " \t") != etag {
		return span{}, rangeIgnored
	}
	return parseRange(values[0], size)
}

// matchesTag says whether a list of entity tags, as If-Match and If-None-Match carry them, names etag. weak lets
// W/"x" match "x". What follows a malformed element is ignored.
func matchesTag(values []string, etag string, weak bool) bool {
	for _, list := range values {
		if strings.Trim(list, " \t") == "*" {
			return true
		}
		for {
			list = strings.TrimLeft(list, " \t,")
			isWeak := strings.HasPrefix(list, "W/")
			if isWeak {
				list = list[len("W/"):]
			}
			if !strings.HasPrefix(list, `"`) {
				break
			}
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				break
			}
			if tag := list[:end+2]; tag == etag && (weak || !isWeak) {
				return true
			}
			list = list[end+2:]
		}
	}
	return false
}
