package yamlnode

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// Map reads the keys of one mapping. Its methods take a key and where to put the value; a key that is absent, or has
// no value, leaves the variable as it is, so that a default stands there before. Each says whether there was a value
// that converted. A key is known once it was asked for; Done finds the others.
//
// A Map is used by one goroutine, and reports into the Report that it was made with.
type Map struct {
	node   *Node
	report *Report
	keys   []string // asked for
}

// Map reads n as a mapping. A node that is none is a problem, and reads as one without keys; no value at all is a
// mapping without keys too, as in "mem:".
func (n *Node) Map(r *Report) *Map {
	if n.kind != mapping && n.kind != null {
		r.Errorf(n, "want keys with values under it, not %s", n.describe())
		n = &Node{pos: n.pos, path: n.path, kind: mapping}
	}
	m := &Map{node: n, report: r}
	first := map[string]*Node{}
	for _, e := range n.entries {
		key := strings.ToLower(e.key.text)
		if before, twice := first[key]; twice {
			r.Errorf(e.key, "this key is here twice; the other one is in line %d", before.pos.Line)
			continue
		}
		first[key] = e.key
	}
	return m
}

// Node is the mapping itself, for problems that concern more than one key.
func (m *Map) Node() *Node { return m.node }

// Report is where problems go.
func (m *Map) Report() *Report { return m.report }

// find is the entry of a key, whatever its case.
func find(n *Node, key string) (entry, bool) {
	for _, e := range n.entries {
		if strings.EqualFold(e.key.text, key) {
			return e, true
		}
	}
	return entry{}, false
}

// Value is the raw value of a key; false when the key is absent. "key:" alone gives a Node without a value.
func (m *Map) Value(key string) (*Node, bool) {
	m.keys = append(m.keys, key)
	e, ok := find(m.node, key)
	return e.val, ok
}

// Keys are the keys that are written, in lower case and in the order of the file.
func (m *Map) Keys() []string {
	var keys []string
	for _, e := range m.node.entries {
		keys = append(keys, strings.ToLower(e.key.text))
	}
	return keys
}

// Key is where a key is written, for problems with the key and not with its value. It must be there.
func (m *Map) Key(key string) *Node {
	e, _ := find(m.node, key)
	return e.key
}

// scalar is the value of a key that must be one value.
func (m *Map) scalar(key string) (*Node, bool) {
	n, ok := m.Value(key)
	if !ok || n.kind == null {
		return nil, false
	}
	if n.kind != scalar {
		m.report.Errorf(n, "want one value, not %s", n.describe())
		return nil, false
	}
	return n, !n.broken
}

// put converts the value of a key and stores it, or reports why it cannot.
func put[T any](m *Map, key string, to *T, convert func(*Node) (T, error)) bool {
	n, ok := m.scalar(key)
	if !ok {
		return false
	}
	v, err := convert(n)
	if err != nil {
		m.report.Errorf(n, "%s", err)
		return false
	}
	*to = v
	return true
}

// Text reads text. An unquoted number is the number's decimal form and an unquoted true is 1, as older servers read
// them; there is a warning when that is not what is written.
func (m *Map) Text(key string, to *string) bool {
	n, ok := m.scalar(key)
	if !ok {
		return false
	}
	*to = n.asText()
	if *to != n.text {
		m.report.Warnf(n, "%s without quotes is the text %s; quote it to keep it as it is", n.written, quote(*to))
	}
	return true
}

// OneOf reads a word out of a list, in any case.
func (m *Map) OneOf(key string, to *string, words ...string) bool {
	return put(m, key, to, func(n *Node) (string, error) {
		text := n.asText()
		for _, w := range words {
			if strings.EqualFold(w, text) {
				return w, nil
			}
		}
		if near, ok := Nearest(text, words); ok {
			return "", fmt.Errorf("%s is not known; did you mean %s?", quote(n.written), near)
		}
		return "", fmt.Errorf("%s is not known; want %s", quote(n.written), strings.Join(words, " or "))
	})
}

// Bool reads true or false.
func (m *Map) Bool(key string, to *bool) bool { return put(m, key, to, (*Node).asBool) }

// Int reads a whole number within [low, high].
func (m *Map) Int(key string, to *int, low, high int) bool {
	return put(m, key, to, func(n *Node) (int, error) {
		v, err := n.asInt()
		if err == nil && (v < int64(low) || v > int64(high)) {
			err = fmt.Errorf("%s is out of range; want %d to %d", n.written, low, high)
		}
		return int(v), err
	})
}

// Size reads a number of bytes, at least low.
func (m *Map) Size(key string, to *int64, low bytesize.Size) bool {
	return put(m, key, to, func(n *Node) (int64, error) {
		v, err := n.asSize()
		if err == nil && v < low {
			err = fmt.Errorf("%s is too small; want at least %s", quote(n.written), low)
		}
		return int64(v), err
	})
}

// Duration reads a duration, at least low. A bare integer is nanoseconds, as older servers read it; there is a warning
// when somebody surely meant seconds.
func (m *Map) Duration(key string, to *time.Duration, low time.Duration) bool {
	return put(m, key, to, func(n *Node) (time.Duration, error) {
		v, err := n.asDuration()
		switch {
		case err != nil:
		case v < 0:
			err = fmt.Errorf("%s is negative; write a duration such as 30s", n.written)
		case v < low:
			err = fmt.Errorf("%s is too short; want at least %s", n.written, low)
		}
		if _, bare := n.value.(int); err == nil && bare && v > 0 && v < time.Millisecond {
			m.report.Warnf(n, "%s is %s; a bare number is nanoseconds: write %ss for seconds", n.written, v, n.written)
		}
		return v, err
	})
}

// URL reads an absolute http or https address, kept as it is written.
func (m *Map) URL(key string, to *string) bool {
	return put(m, key, to, func(n *Node) (string, error) {
		text := n.asText()
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			// Not echoed: addresses carry passwords.
			return "", errors.New("this is not an address such as https://example.com/")
		}
		return text, nil
	})
}

// Texts reads a list of texts; one text is a list of the words between its commas.
func (m *Map) Texts(key string, to *[]string) bool {
	n, ok := m.Value(key)
	if !ok || n.kind == null {
		return false
	}
	var out []string
	switch n.kind {
	case sequence:
		for _, e := range n.entries {
			if e.val.kind != scalar {
				m.report.Errorf(e.val, "want a text, not %s", e.val.describe())
				return false
			}
			out = append(out, e.val.asText())
		}
	case scalar:
		for word := range strings.SplitSeq(n.asText(), ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, word)
			}
		}
	default:
		m.report.Errorf(n, "want a list, not %s", n.describe())
		return false
	}
	*to = out
	return true
}

// Items reads n as a list. A node that is none is a problem.
func (n *Node) Items(r *Report) []*Node {
	if n.kind != sequence && n.kind != null {
		r.Errorf(n, "want a list, not %s", n.describe())
		return nil
	}
	var items []*Node
	for _, e := range n.entries {
		items = append(items, e.val)
	}
	return items
}

// maxSecret is the largest secret in a file, in bytes.
const maxSecret = 64 << 10

// Secret reads key, or the file that key_file names, without the line's end. Messages never show a secret.
func (m *Map) Secret(key string, to *string) bool {
	var file string
	fromFile := m.Text(key+"_file", &file)
	n, direct := m.scalar(key)
	switch {
	case direct && fromFile:
		m.report.Errorf(n, "both %s and %s_file are given; keep one", key, key)
		return false
	case direct:
		*to = n.asText()
		switch {
		case *to == "" && n.written != "":
			m.report.Warnf(n, "%s is empty", n.written)
		case *to != n.text:
			m.report.Warnf(n, "without quotes this is read as a number; quote it to keep it as it is written")
		}
		return true
	case !fromFile:
		return false
	}
	at, _ := find(m.node, key+"_file")
	secret, err := readSecret(file)
	if err != nil {
		m.report.Errorf(at.val, "%s", err)
		return false
	}
	*to = secret
	return true
}

func readSecret(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecret {
		return "", fmt.Errorf("%s is no file with a secret: it is not a regular file, or larger than %d KiB", file, maxSecret>>10)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return secret, nil
}

// NoEffect knows a key that older files may carry, and warns that it does nothing, and why. Whatever is under it is not
// looked at.
func (m *Map) NoEffect(key, why string) {
	if _, ok := m.Value(key); ok {
		m.report.Warnf(m.Key(key), "has no effect: %s", why)
	}
}

// Require reports a key that is absent, or has no value or an empty one; hint says what to write. It knows the key.
func (m *Map) Require(key, hint string) {
	n, ok := m.Value(key)
	switch {
	case !ok || n.kind == null:
		m.report.Errorf(m.node, "the key %s is missing; %s", key, hint)
	case n.kind == scalar && n.text == "" && !n.broken:
		m.report.Errorf(n, "this is empty; %s", hint)
		n.broken = true
	}
}

// Done reports the keys that nobody asked for.
func (m *Map) Done() {
	for _, e := range m.node.entries {
		if known(m.keys, e.key.text) {
			continue
		}
		// Beyond what is shown a suggestion would only cost time.
		if len(m.report.problems) > maxShown {
			m.report.Errorf(e.key, "unknown key")
			continue
		}
		if near, ok := Nearest(e.key.text, m.keys); ok {
			m.report.Errorf(e.key, "unknown key; did you mean %s?", near)
			continue
		}
		m.report.Errorf(e.key, "unknown key; known here: %s", strings.Join(unique(m.keys), ", "))
	}
}

func known(keys []string, key string) bool {
	for _, k := range keys {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

func unique(keys []string) []string {
	var out []string
	for _, k := range keys {
		if !known(out, k) {
			out = append(out, k)
		}
	}
	return out
}
