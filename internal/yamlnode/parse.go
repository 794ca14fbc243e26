package yamlnode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// MaxSize is the largest document, in bytes.
const MaxSize = 1 << 20

const (
	maxDepth = 64
	// maxNodes is the largest number of values in a document once its aliases are resolved: more than any
	// configuration needs, and little memory for one that doubles itself line by line.
	maxNodes = 20_000
)

// Parse reads the first document of data, which came from the named file. lookup finds environment variables
// (os.LookupEnv). It returns nil, with the problem in the report, when there is no document to read; other problems,
// such as unset variables, leave a Node that the caller may go on with, to find more of them. An empty document is a
// mapping without keys.
func Parse(file string, data []byte, lookup func(string) (string, bool), r *Report) *Node {
	root := &Node{pos: Position{File: file}}
	if msg := unreadable(data); msg != "" {
		r.Errorf(root, "%s", msg)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		r.Errorf(root, "%s", err)
		return nil
	}
	var doc yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		root.pos.Line, root.pos.Column = 1, 1
		return root
	case err != nil:
		r.problems = append(r.problems, syntaxProblem(file, data, err))
		return nil
	}
	b := builder{file: file, lookup: lookup, report: r, open: map[*yaml.Node]bool{}}
	root = b.build(doc.Content[0], "", 0)
	if b.stopped {
		return nil
	}
	if err := loader.Load(&doc); !errors.Is(err, io.EOF) {
		r.Warnf(&Node{pos: Position{File: file, Line: doc.Line, Column: doc.Column}},
			"a second document starts here (---); only the first one is read")
	}
	return root
}

// unreadable says why data cannot be a document, or nothing. The YAML library would also notice most of it, without a
// place or a hint.
func unreadable(data []byte) string {
	switch {
	case len(data) > MaxSize:
		return fmt.Sprintf("the file is larger than %d KiB; that is no configuration", MaxSize>>10)
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "the file is UTF-16 text; save it as UTF-8"
	}
	line := 1
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && n == 1, c < ' ' && c != '\n' && c != '\r' && c != '\t', c == 0x7f:
			return fmt.Sprintf("line %d holds the byte 0x%02x, which is no text; is this a YAML file in UTF-8?",
				line, data[i])
		case c == '\n':
			line++
		}
		i += n
	}
	return ""
}

// syntaxProblem turns an error of the library into one with our kind of place, and a hint for the commonest cause.
func syntaxProblem(file string, data []byte, err error) *Problem {
	p := &Problem{Position: Position{File: file}, Message: err.Error()}
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return p
	}
	p.Line, p.Column = le.Mark.Line, le.Mark.Column
	p.Message = "not YAML: " + le.Message
	if le.ContextMsg != "" {
		p.Message += " " + le.ContextMsg
	}
	lines := strings.SplitN(string(data), "\n", p.Line+1)
	if p.Line > 0 && p.Line <= len(lines) {
		line := lines[p.Line-1]
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") {
			p.Message = "not YAML: a tab indents this line; indent with blanks"
		}
	}
	return p
}

// builder turns the library's nodes into ours, resolving aliases and merges within limits.
type builder struct {
	file    string
	lookup  func(string) (string, bool)
	report  *Report
	nodes   int
	open    map[*yaml.Node]bool // nodes that are being built, to notice one that holds itself
	stopped bool                // a limit was reached; nothing more is built
}

// build makes a Node of n. Its path is given by its parents.
func (b *builder) build(n *yaml.Node, path string, depth int) *Node {
	out := &Node{pos: Position{File: b.file, Line: n.Line, Column: n.Column}, path: path}
	b.nodes++
	switch {
	case b.stopped:
		return out
	case b.nodes > maxNodes:
		b.stop(out, "the document has more than %d values once its aliases are resolved", maxNodes)
		return out
	case depth > maxDepth:
		b.stop(out, "nested deeper than %d levels", maxDepth)
		return out
	case b.open[n]:
		b.stop(out, "the anchor &%s holds itself", n.Anchor)
		return out
	}
	b.open[n] = true
	defer delete(b.open, n)
	switch n.Kind {
	case yaml.AliasNode:
		return b.build(n.Alias, path, depth+1)
	case yaml.MappingNode:
		out.kind = mapping
		b.mapping(out, n, depth)
	case yaml.SequenceNode:
		out.kind = sequence
		for i, item := range n.Content {
			val := b.build(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
			out.entries = append(out.entries, entry{val: val})
		}
	default:
		b.scalar(out, n)
	}
	return out
}

func (b *builder) stop(at *Node, format string, args ...any) {
	b.report.Errorf(at, format, args...)
	b.stopped = true
}

// scalar fills in a scalar or null.
func (b *builder) scalar(out *Node, n *yaml.Node) {
	out.kind, out.written, out.text = scalar, n.Value, n.Value
	switch tag := n.ShortTag(); tag {
	case "!!null":
		out.kind = null
		return
	case "!!int", "!!float", "!!bool":
		if err := n.Decode(&out.value); err != nil {
			b.report.Errorf(out, "%s is not what its tag %s says", quote(n.Value), tag)
			out.broken = true
		}
		return
	case "!!str", "!!timestamp", "!!merge":
	default:
		b.report.Errorf(out, "the tag %s means nothing here; leave it out", quote(tag))
		out.broken = true
		return
	}
	text, err := expand(n.Value, b.lookup)
	if err != nil {
		b.report.Errorf(out, "%s", err)
		out.broken = true
	}
	out.text = text
}

// mapping fills in the keys of a mapping. A key of its own wins over one that a merge (<<) brings, and an earlier
// merge over a later one.
func (b *builder) mapping(out *Node, n *yaml.Node, depth int) {
	var merges []*Node
	for i := 0; i+1 < len(n.Content) && !b.stopped; i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		key := &Node{pos: Position{File: b.file, Line: n.Content[i].Line, Column: n.Content[i].Column}}
		if k.Kind != yaml.ScalarNode {
			key.path = out.path
			b.report.Errorf(key, "a key must be a word")
			continue
		}
		key.kind, key.written, key.text = scalar, k.Value, k.Value
		if k.ShortTag() == "!!merge" {
			merges = append(merges, b.merged(v, out.path, depth)...)
			continue
		}
		key.path = join(out.path, k.Value)
		out.entries = append(out.entries, entry{key: key, val: b.build(v, key.path, depth+1)})
	}
	has := map[string]bool{}
	for _, e := range out.entries {
		has[strings.ToLower(e.key.text)] = true
	}
	for _, m := range merges {
		for _, e := range m.entries {
			if key := strings.ToLower(e.key.text); !has[key] {
				has[key] = true
				out.entries = append(out.entries, e)
			}
		}
	}
}

// merged is the mappings that the value of a merge key stands for.
func (b *builder) merged(v *yaml.Node, path string, depth int) []*Node {
	m := b.build(v, path, depth+1)
	list := []*Node{m}
	if m.kind == sequence {
		list = list[:0]
		for _, e := range m.entries {
			list = append(list, e.val)
		}
	}
	for _, one := range list {
		if one.kind != mapping && !b.stopped {
			b.report.Errorf(one, "<< takes a mapping or a list of them, not %s", one.describe())
		}
	}
	return list
}
