// Package lint holds the house's own rules, as tests over the whole tree: who may import whom, what every package
// says of itself, and what no package may have. What a general linter knows is left to it (.golangci.yml).
//
//   - Imports: every package has a row in the table, and imports only what its row allows (table.go). A test kit is
//     imported by tests and by other kits only.
//   - Documentation: every package has exactly one package comment, and a row in docs/ARCHITECTURE.md that says the
//     same as the table. Every direct dependency is explained in docs/dependencies.md. The tests that docs/proofs names are there.
//   - State: no init function, and no package variable that could change (globals.go says which variables may be).
//   - Mounts: a test package that opens an engine or a store on disk ends its tests with the checker.
//   - Text: files of at most 600 lines, no vague package names, no notes of things to do, and no paths of somebody's
//     machine.
//
// The rules read syntax and what the go command lists; they check no types and run no code.
package lint
