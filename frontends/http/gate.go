package httpd

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/OdyseeTeam/prism/blob"
)

// Gate decides who may have the bytes of a blob.
type Gate interface {
	// Check is nil when the blob is open to whoever shows token, which may be empty; otherwise blob.ErrProtected, or
	// blob.ErrNotFound for a blob that is to be answered as missing by every path, wrapped or not. It is called for every
	// request, must not block, and does not keep or log the token.
	Check(h blob.Hash, token string) error
}

// TokenGate opens protected blobs to holders of one token.
type TokenGate struct {
	// Protected says whether a blob needs the token; nil means that none does.
	Protected func(blob.Hash) bool
	// Token is the secret. Empty, it opens nothing.
	Token string
	// Withheld says whether a blob is answered as missing, token or not; nil means that none is.
	Withheld func(blob.Hash) bool
}

// Check compares in constant time. Digests are compared, not the tokens, so that the time tells nothing about the
// length either.
func (g *TokenGate) Check(h blob.Hash, token string) error {
	if g.Withheld != nil && g.Withheld(h) {
		return blob.ErrNotFound
	}
	if g.Protected == nil || !g.Protected(h) {
		return nil
	}
	want, got := sha256.Sum256([]byte(g.Token)), sha256.Sum256([]byte(token))
	same := subtle.ConstantTimeCompare(want[:], got[:])
	if g.Token == "" || same != 1 {
		return blob.ErrProtected
	}
	return nil
}

var _ Gate = (*TokenGate)(nil)
