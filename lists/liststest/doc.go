// Package liststest is for tests of lists: a server of lists with a certificate of its own, a hub that speaks the
// protocol of hubs, and transactions with claims to ask it for. Both servers answer as real ones do until they are told
// to misbehave.
package liststest
