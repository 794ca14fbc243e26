// Package testbed starts real servers for tests: no mocks of what we claim to work with. A machine needs nothing but Go:
// the S3 server is built from source, by a module of its own that pins it, once for each version into the user's cache
// folder; MariaDB comes from the distribution's packages, which are installed where they are missing. A server listens on
// loopback, over a temporary folder, and is gone when the test ends. The package is imported by tests only.
package testbed
