package main

import (
	"io"
	"log/slog"
	"slices"

	"github.com/OdyseeTeam/prism/config"
)

// newLogger logs to out as the configuration says; "all" among the verbose words logs everything.
func newLogger(out io.Writer, c config.Log, verbose []string) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // config lets only known levels through
	}
	if slices.Contains(verbose, "all") {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
