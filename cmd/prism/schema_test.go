package main_test

import (
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/internal/testbed"
)

// What prism schema prints makes the tables, and makes them once.
func TestSchema(t *testing.T) {
	got := prism(t, "schema")
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	s := testbed.MariaDB(t, testbed.MariaDBOptions{})
	name := s.Database(t)
	for range 2 {
		if _, err := s.DB.ExecContext(t.Context(), "USE "+name+";\n"+got.stdout); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.DB.QueryContext(t.Context(), "SHOW TABLES FROM "+name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil || !slices.Equal(tables, []string{"blob_", "blocked", "stream", "stream_blob"}) {
		t.Errorf("tables %v, %v", tables, err)
	}
}
