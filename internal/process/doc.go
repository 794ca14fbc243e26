// Package process starts programs beside this one, waits until they answer, and ends them: for the tools, tests and
// benchmarks that look at prism from outside, as the separate process that it is.
//
// A child has a process group of its own, so Ctrl-C reaches this process alone, which then ends its children in the
// order it wants. Should this process die, the kernel ends them; that is tied to the thread that started the child, so
// a program that wants it starts its children from a locked thread. Children are ended by their own process id and in
// no other way.
package process
