// Package testbed starts real servers for tests: no mocks of what we claim to work with. A server is built from source,
// by a module of its own that pins it, once for each version into the user's cache folder, so that a machine needs
// nothing but Go. It listens on loopback, over a temporary folder, and is gone when the test ends. The package is imported by
// tests only.
package testbed
