package httpblob

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/OdyseeTeam/prism/blob"
)

// ViaHeader is the name of the header that carries a trace.
const ViaHeader = "Via"

// Bounds of a Via header, in both directions. What is sent stays well below the 8 KiB of headers that an edge reads.
const (
	MaxViaBytes = 4096 // of the whole value
	MaxViaHops  = 32
	MaxViaName  = 128 // bytes of one name, before escapes
)

// UnknownHost stands for a host that sent an empty name of itself: an empty Hop.Host would mean this process.
const UnknownHost = "unknown"

// EncodeVia is the value of the Via header for hops, innermost first: compact JSON in printable ASCII. localHost takes
// the place of an empty Host. No hops give "", which is sent as no header at all. Names are cut at MaxViaName bytes;
// outermost hops that would pass MaxViaHops or MaxViaBytes are left out.
func EncodeVia(hops []blob.Hop, localHost string) string {
	if len(hops) == 0 {
		return ""
	}
	var room [512]byte // three hops or four
	out := append(room[:0], viaHead...)
	n := 0
	for _, hop := range hops[:min(len(hops), MaxViaHops)] {
		before := len(out)
		if n > 0 {
			out = append(out, ',')
		}
		out = appendHop(out, hop, localHost)
		if len(out)+len(viaTail) > MaxViaBytes {
			out = out[:before]
			break
		}
		n++
	}
	if n == 0 {
		return ""
	}
	return string(append(out, viaTail...))
}

const (
	viaHead = `{"stacks":[`
	viaTail = `]}`
)

// appendHop appends one element of the list.
func appendHop(out []byte, hop blob.Hop, localHost string) []byte {
	host := hop.Host
	if host == "" {
		host = localHost
	}
	out = append(out, `{"origin_name":`...)
	out = appendString(out, hop.Origin)
	out = append(out, `,"host_name":`...)
	out = appendString(out, host)
	out = append(out, `,"timing":`...)
	out = strconv.AppendInt(out, max(0, int64(hop.Elapsed)), 10)
	return append(out, '}')
}

// appendString appends s as a JSON string in printable ASCII, as a header value must be: encoding/json leaves DEL and
// everything above ASCII as it is. Bytes that are not UTF-8 become U+FFFD.
func appendString(out []byte, s string) []byte {
	s = clip(s)
	out = append(out, '"')
	if plain(s) {
		out = append(out, s...)
		return append(out, '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case ' ' <= r && r <= '~':
			out = append(out, byte(r))
		case r <= 0xffff:
			out = appendEscape(out, r)
		default:
			r -= 0x10000
			out = appendEscape(out, 0xd800+r>>10)
			out = appendEscape(out, 0xdc00+r&0x3ff)
		}
	}
	return append(out, '"')
}

// plain says whether s stands in a JSON string as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendEscape appends one UTF-16 unit as \uXXXX.
func appendEscape(out []byte, unit rune) []byte {
	const digits = "0123456789abcdef"
	return append(out, '\\', 'u',
		digits[unit>>12&0xf], digits[unit>>8&0xf], digits[unit>>4&0xf], digits[unit&0xf])
}

// clip cuts s at MaxViaName bytes, between characters.
func clip(s string) string {
	if len(s) <= MaxViaName {
		return s
	}
	n := MaxViaName
	for n > MaxViaName-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// DecodeVia reads what another server said, innermost hop first. Anything odd (no JSON, no stacks, a negative or broken
// timing, a value above the bounds) gives nil, for the whole of it. Keys that it does not know are ignored. A hop
// without a host name is of UnknownHost.
func DecodeVia(s string) []blob.Hop {
	if s == "" || len(s) > MaxViaBytes {
		return nil
	}
	var via struct {
		Stacks []struct {
			Origin string `json:"origin_name"`
			Host   string `json:"host_name"`
			Timing int64  `json:"timing"`
		} `json:"stacks"`
	}
	if json.Unmarshal([]byte(s), &via) != nil {
		return nil
	}
	if len(via.Stacks) == 0 || len(via.Stacks) > MaxViaHops {
		return nil
	}
	hops := make([]blob.Hop, 0, len(via.Stacks))
	for _, st := range via.Stacks {
		if st.Timing < 0 || len(st.Origin) > MaxViaName || len(st.Host) > MaxViaName {
			return nil
		}
		if st.Host == "" {
			st.Host = UnknownHost
		}
		hops = append(hops, blob.Hop{Origin: st.Origin, Host: st.Host, Elapsed: time.Duration(st.Timing)})
	}
	return hops
}
