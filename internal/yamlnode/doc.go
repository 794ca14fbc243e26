// Package yamlnode reads configuration strictly: a YAML document becomes a tree of Nodes that know their file, line,
// column and YAML path, and a Map reads the keys of one mapping into variables, with every problem collected in a
// Report, not only the first.
//
// Values convert as the files of older servers expect: keys in any case, quoted numbers and booleans, unquoted numbers
// where text is wanted, ${NAME} for environment variables. A key that nobody asked for, a key written twice and a value
// that does not convert are problems.
//
// What comes in is bounded: the size of the document, its depth, and the number of values that its aliases expand to.
// The package opens no files but the secrets that a document names (see Map.Secret), and knows no key by itself.
package yamlnode
