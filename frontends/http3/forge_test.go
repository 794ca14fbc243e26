package http3d_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"
)

// keys protect the packets of one direction with AES-128-GCM (RFC 9001, section 5). Packet numbers are of four bytes where
// we write them; of those that are read, no more than 65,536 are expected, so that they are never cut.
type keys struct {
	t      testing.TB
	secret []byte
	body   cipher.AEAD
	iv     []byte
	head   cipher.Block // stays when the others are updated
}

func makeKeys(t testing.TB, secret []byte) *keys {
	t.Helper()
	k := &keys{t: t, secret: secret}
	k.head = k.cipher("quic hp")
	k.iv = k.expand("quic iv", 12)
	var err error
	if k.body, err = cipher.NewGCM(k.cipher("quic key")); err != nil {
		t.Fatal(err)
	}
	return k
}

// initialKeys protect a client's Initial packets and what answers them: they follow from its first destination.
func initialKeys(t testing.TB, destination []byte) (client, server *keys) {
	t.Helper()
	salt, err := hex.DecodeString("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := hkdf.Extract(sha256.New, destination, salt)
	if err != nil {
		t.Fatal(err)
	}
	k := &keys{t: t, secret: secret}
	return makeKeys(t, k.expand("client in", sha256.Size)), makeKeys(t, k.expand("server in", sha256.Size))
}

// next are the keys after an update.
func (k *keys) next() *keys {
	n := makeKeys(k.t, k.expand("quic ku", sha256.Size))
	n.head = k.head
	return n
}

// expand is HKDF-Expand-Label of TLS 1.3.
func (k *keys) expand(label string, n int) []byte {
	k.t.Helper()
	label = "tls13 " + label
	info := append([]byte{0, byte(n), byte(len(label))}, label+"\x00"...)
	out, err := hkdf.Expand(sha256.New, k.secret, string(info), n)
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *keys) cipher(label string) cipher.Block {
	k.t.Helper()
	c, err := aes.NewCipher(k.expand(label, 16))
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func (k *keys) nonce(number uint64) []byte {
	n := bytes.Clone(k.iv)
	for i := range 8 {
		n[len(n)-1-i] ^= byte(number >> (8 * i))
	}
	return n
}

// mask is what hides the header of a packet whose number begins at.
func (k *keys) mask(packet []byte, at int) (m [aes.BlockSize]byte) {
	k.head.Encrypt(m[:], packet[at+4:at+4+aes.BlockSize])
	if packet[0]&0x80 != 0 {
		m[0] &= 0x0f
	} else {
		m[0] &= 0x1f
	}
	return m
}

// seal makes a packet of a header, to which it adds the number, and frames.
func (k *keys) seal(header []byte, number uint32, frames []byte) []byte {
	at := len(header)
	packet := binary.BigEndian.AppendUint32(bytes.Clone(header), number)
	packet = k.body.Seal(packet, k.nonce(uint64(number)), frames, packet)
	m := k.mask(packet, at)
	packet[0] ^= m[0]
	for i := range 4 {
		packet[at+i] ^= m[1+i]
	}
	return packet
}

// show makes the header of a packet readable, whose number begins at, and gives the number and where it ends.
func (k *keys) show(packet []byte, at int) (number uint64, end int, err error) {
	if len(packet) < at+4+aes.BlockSize {
		return 0, 0, errors.New("a short packet")
	}
	m := k.mask(packet, at)
	packet[0] ^= m[0]
	end = at + int(packet[0]&3) + 1
	for i := at; i < end; i++ {
		packet[i] ^= m[1+i-at]
		number = number<<8 | uint64(packet[i])
	}
	return number, end, nil
}

// open gives the frames of a packet that was shown.
func (k *keys) open(packet []byte, number uint64, end int) ([]byte, error) {
	return k.body.Open(nil, k.nonce(number), packet[end:], packet[:end])
}

// initial is the first packet of a client: 1,200 bytes with frames of the test.
func initial(k *keys, destination, source, frames []byte) []byte {
	header := []byte{0xc3, 0, 0, 0, 1}
	header = append(append(header, byte(len(destination))), destination...)
	header = append(append(header, byte(len(source))), source...)
	header = append(header, 0) // no token
	rest := 1200 - len(header) - 2
	header = quicvarint.AppendWithLen(header, uint64(rest), 2)
	frames = append(bytes.Clone(frames), make([]byte, rest-4-k.body.Overhead()-len(frames))...)
	return k.seal(header, 0, frames)
}

// openInitial gives the frames of a server's Initial packet.
func openInitial(k *keys, packet []byte) ([]byte, error) {
	if len(packet) < 7 || packet[0]&0xf0 != 0xc0 {
		return nil, errors.New("no Initial packet")
	}
	at := 5
	for range 2 { // the connection ids
		at += 1 + int(packet[at])
	}
	for range 2 { // the length of the token, which a server does not send, and of the rest
		_, n, err := quicvarint.Parse(packet[at:])
		if err != nil {
			return nil, err
		}
		at += n
	}
	number, end, err := k.show(packet, at)
	if err != nil {
		return nil, err
	}
	return k.open(packet, number, end)
}

// varints is a frame of numbers alone.
func varints(numbers ...uint64) []byte {
	var b []byte
	for _, n := range numbers {
		b = quicvarint.Append(b, n)
	}
	return b
}

// closed reads the code of frames that say that the connection ends.
func closed(frames []byte) (code uint64, ok bool) {
	frames = bytes.TrimLeft(frames, "\x00")
	if len(frames) < 2 || frames[0] != 0x1c && frames[0] != 0x1d {
		return 0, false
	}
	code, _, err := quicvarint.Parse(frames[1:])
	return code, err == nil
}
