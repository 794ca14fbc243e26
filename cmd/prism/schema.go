package main

import (
	"io"

	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// schema is the command that prints what makes the tables of a catalogue: prism schema | mysql DATABASE.
type schema struct{}

// Run prints it.
func (schema) Run(out io.Writer) error {
	_, err := io.WriteString(out, mysql.Schema)
	return err
}
