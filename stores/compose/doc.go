// Package compose turns the store subtree of a configuration into a tree of stores.
//
// A node of the subtree is a mapping with one key, the kind of the store; under it stand the keys of that kind, some of
// which hold further nodes. What kinds there are, and what their keys mean, is given as a list of Kinds (stores/all has
// the one of the program); this package knows none of them.
//
// Check reads the whole subtree and opens nothing. Open opens it from the leaves to the root, and when a part fails it
// closes what it had opened. Every error names file, line and YAML path.
//
// What a parent knows and a child needs is handed down between the two, by optional interfaces on Spec: Capped.
package compose
