package testbed_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
)

// What is committed survives a stop and a kill, and a frozen server says nothing until it goes on.
func TestMariaDB(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	s := testbed.MariaDB(t, testbed.MariaDBOptions{Args: []string{"--max-connections=20"}})
	name := s.Database(t)
	exec := func(query string) {
		t.Helper()
		if _, err := s.DB.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE " + name + ".t (n INT)")
	rows := func(want int) {
		t.Helper()
		var n int
		if err := s.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+name+".t").Scan(&n); err != nil || n != want {
			t.Errorf("%d rows, %v, want %d", n, err, want)
		}
	}
	exec("INSERT INTO " + name + ".t VALUES (1)")
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := s.DB.PingContext(t.Context()); err == nil {
		t.Error("a stopped server answers")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows(1)
	exec("INSERT INTO " + name + ".t VALUES (2)")
	s.Kill()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows(2)
	var most int
	if err := s.DB.QueryRowContext(t.Context(), "SELECT @@max_connections").Scan(&most); err != nil || most != 20 {
		t.Errorf("its own arguments are lost: %d, %v", most, err)
	}

	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.DB.QueryRowContext(ctx, "SELECT 1").Scan(new(sql.RawBytes)); err == nil {
		t.Error("a frozen server answers")
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	rows(2)
}
