// Package stores holds the Store interface, the small optional interfaces beside it, and As, which finds them through
// wrappers. Each kind of store is a package of its own in a folder below; stores/compose builds trees of them from
// configuration, and stores/storetest holds every kind to the contract that is written here.
//
// Nothing of HTTP, YAML, Prometheus, MySQL or S3 appears in these interfaces.
package stores
