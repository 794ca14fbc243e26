// Package segments holds append-only segment files.
package segments
