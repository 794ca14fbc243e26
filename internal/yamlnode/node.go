package yamlnode

import (
	"strconv"
	"strings"
)

// Node is one value of a document, with where it stands. Aliases and merges are resolved already.
type Node struct {
	pos  Position
	path string
	kind kind

	// Of a scalar:
	written string // unquoted
	text    string // written, with environment variables filled in
	value   any    // what a plain scalar means in YAML: int, int64, uint64, float64, bool; nil for text
	broken  bool   // a problem was reported already: conversions leave it alone

	// Of a mapping, in the order of the file; of a sequence the entries have no keys.
	entries []entry
}

// entry is a key with its value, or an item of a sequence.
type entry struct {
	key *Node // a scalar; nil in sequences
	val *Node
}

type kind uint8

const (
	null kind = iota
	scalar
	mapping
	sequence
)

// At is a node without a value that stands for a whole file, for problems that have no line.
func At(file string) *Node { return &Node{pos: Position{File: file}} }

// Position is where the value starts.
func (n *Node) Position() Position { return n.pos }

// Path is the YAML path of the value, such as store.caching.cache; empty for the document.
func (n *Node) Path() string { return n.path }

// Empty says that there is no value: an empty document, or a key with nothing behind it.
func (n *Node) Empty() bool { return n.kind == null }

// problem is a Problem at this node.
func (n *Node) problem(message string) *Problem {
	return &Problem{Position: n.pos, Path: n.path, Message: message}
}

// describe says what a node is, for messages about what it should have been.
func (n *Node) describe() string {
	switch n.kind {
	case null:
		return "nothing"
	case scalar:
		return "the text " + quote(n.written) // never n.text: an environment variable may hold a secret
	case mapping:
		return "keys of its own"
	}
	return "a list"
}

// join is the path of a child.
func join(path, key string) string {
	if plain := strings.Trim(strings.ToLower(key), "abcdefghijklmnopqrstuvwxyz0123456789_-"); plain != "" || key == "" {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// quote shows what somebody wrote, cut when it is long.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strconv.Quote(s)
}
