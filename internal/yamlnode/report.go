package yamlnode

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Position is a place in a file. Line and Column count from 1; 0 is unknown.
type Position struct {
	File         string
	Line, Column int
}

func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong, or odd, in a document.
type Problem struct {
	Position
	Path    string // YAML path such as store.caching.cache; empty for the document itself
	Message string // what is wrong and what to do next
}

// Error is file:line:column: path: message.
func (p *Problem) Error() string {
	if p.Path == "" {
		return p.Position.String() + ": " + p.Message
	}
	return p.Position.String() + ": " + p.Path + ": " + p.Message
}

// Report collects the problems of a document while it is read, and warnings beside them. It is not safe for concurrent
// use. The zero Report is empty and ready.
type Report struct {
	problems, warnings []*Problem
}

// maxShown bounds what Err and Warnings show; who repairs that many sees the others next time.
const maxShown = 25

// Errorf adds a problem at a node.
func (r *Report) Errorf(at *Node, format string, args ...any) {
	r.problems = append(r.problems, at.problem(fmt.Sprintf(format, args...)))
}

// Warnf adds a warning at a node.
func (r *Report) Warnf(at *Node, format string, args ...any) {
	r.warnings = append(r.warnings, at.problem(fmt.Sprintf(format, args...)))
}

// Add takes over what another report holds.
func (r *Report) Add(other *Report) {
	r.problems = append(r.problems, other.problems...)
	r.warnings = append(r.warnings, other.warnings...)
}

// OK says that there is no problem so far; there may be warnings.
func (r *Report) OK() bool { return len(r.problems) == 0 }

// Err joins the problems in the order of their lines, each a *Problem, or is nil when there is none.
func (r *Report) Err() error {
	sorted := inOrder(r.problems)
	all := make([]error, 0, maxShown+1)
	for _, p := range sorted[:min(len(sorted), maxShown)] {
		all = append(all, p)
	}
	if more := len(sorted) - maxShown; more > 0 {
		all = append(all, fmt.Errorf("%s: and %d more problems", sorted[0].File, more))
	}
	return errors.Join(all...)
}

// Warnings are in the order of their lines.
func (r *Report) Warnings() []*Problem {
	sorted := inOrder(r.warnings)
	return sorted[:min(len(sorted), maxShown)]
}

func inOrder(list []*Problem) []*Problem {
	return slices.SortedStableFunc(slices.Values(list), func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
