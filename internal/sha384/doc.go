// Package sha384 hashes streams that arrive at the same time side by side, one in each lane of a vector register. One
// stream of SHA-384 cannot be spread over lanes, because each round needs the one before; several can, and four cost
// little more than one.
//
// What must hold:
//
//   - The result is that of crypto/sha512, always. The package has no SHA-512 for one stream and no padding of its own:
//     a stream that is alone, and the end of every stream, are the library's. State goes to and fro in the form in which
//     the library keeps it for others.
//   - Nobody waits for others to come: who begins a pass yields once to those who could run now. And nobody's bytes wait
//     for those of others to arrive: what is given to Blocks is there already. Who comes while all passes are taken waits
//     for the end of a turn, which is microseconds, and is taken along in the next.
//   - There is no goroutine. Whoever hashes does it for those who wait, too, and only as long as for itself.
//   - Where the processor has no AVX-512, or its results are not the library's, every stream is the library's.
package sha384
