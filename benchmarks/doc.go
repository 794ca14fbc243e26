// Package benchmarks measures the whole program from outside: a built prism in a process of its own, asked over loopback by
// a client that throws bodies away in the kernel and so costs next to nothing. What it reports first is the server's
// CPU seconds per GB, or CPU microseconds a request: they hold still where a rate follows whatever else the machine
// does.
//
// What a figure is compared with runs in the same benchmark, and the two take turns: a bare net/http server that writes
// the same blobs from one mapped file. The bars are ratios to it. Everything here is in tests; benchmarks of one package
// stand beside that package.
package benchmarks
