package httpblob

import "github.com/OdyseeTeam/prism/blob"

// Paths and query parameters.
const (
	BlobPath   = "/blob" // GET and HEAD with HashParam
	GetPrefix  = "/get/" // followed by the hash
	HasPrefix  = "/has/" // followed by the hash
	HashParam  = "hash"
	TokenParam = "edge_token"
)

// Facts of an answer.
const (
	// ContentType is what a blob's bytes are sent as.
	ContentType = "application/octet-stream"
	// ProtectedBody is the body of a 403.
	ProtectedBody = "requested blob is protected"
)

// ContentDisposition is the value of the header of that name: filename=H.
func ContentDisposition(h blob.Hash) string { return "filename=" + h.String() }

// ETag is the entity tag of a blob: its hash, quoted. It is strong, because a blob never changes.
func ETag(h blob.Hash) string { return `"` + h.String() + `"` }

// ObjectPath is the name of a blob below an S3-like endpoint: H, or PREFIX/H where PREFIX is the first shard
// characters of H. A shard outside 1 to blob.HexSize-1 means no prefix. There is no slash in front.
func ObjectPath(h blob.Hash, shard int) string {
	hex := h.String()
	if shard <= 0 || shard >= blob.HexSize {
		return hex
	}
	return hex[:shard] + "/" + hex
}
