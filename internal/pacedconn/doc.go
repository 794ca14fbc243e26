// Package pacedconn is the connection layer of servers that send blobs over TCP: a listener that counts and limits
// connections, and connections that know how fast their reader must be.
//
//   - A reader that keeps a write waiting takes Pace.Bytes in each Pace.Window, by what its kernel acknowledged, or the
//     write fails with os.ErrDeadlineExceeded and the coming Close drops what is left.
//   - On plain TCP the bytes given to Write go to write(2) or writev(2) as they are: they may be mapped memory.
//   - On plain TCP a header can be held back (Hold), so that it leaves in one system call with what follows.
//   - A reader that has not proved prompt has little in its send queue that has not left.
//   - CloseGently closes without losing an answer to what the client sent meanwhile.
//
// The package speaks no protocol. Reading, and deadlines for it, are its users' business until they close.
package pacedconn
