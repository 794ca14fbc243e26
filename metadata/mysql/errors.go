package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"

	"github.com/OdyseeTeam/prism/metadata"
)

// verdict is what is made of a failed attempt.
type verdict struct {
	err      error // for the caller
	attempts int   // that there may be in all
	hour     bool  // another attempt with times an hour later
	forget   bool  // look at the tables again before the next
}

// How often a batch is attempted that met another's locks, and one whose connection failed.
const (
	lockAttempts = 100 // 12 s of pauses
	connAttempts = 3
)

// answered says whether an error is the server's answer, after which the connection goes on.
func answered(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return errors.Is(err, metadata.ErrSchema)
	}
	return kinds[e.Number] != readOnly // another server may take writes now, under the same name
}

// kind is what an error of the server comes to.
type kind int

const (
	unknown  kind = iota // it is given to the caller as it is
	locked               // others hold rows that this one wants; it passes
	broken               // the server or somebody ended the connection or the statement
	failing              // the server cannot, for reasons of its own
	readOnly             // it takes no writes
	denied               // it refuses the user
	schema               // a database, table or column is missing
	packet               // a statement is longer than the server takes
	badTime              // a time that its zone does not have
)

// kinds are the numbers of errors, of MySQL and MariaDB alike.
var kinds = map[uint16]kind{
	1205: locked, 1213: locked, // lock wait timeout, deadlock
	1451: locked, 1452: locked, // a row came or went between two statements
	1020: locked,               // the row changed since it was read
	1040: broken, 1203: broken, // too many connections
	1053: broken, 1317: broken, 1927: broken, 4031: broken, // shutdown, killed, idle for too long
	1152: broken, 1158: broken, 1159: broken, 1160: broken, 1161: broken, // the network
	3: failing, 1016: failing, 1021: failing, 1026: failing, 1028: failing, 1030: failing, 1037: failing, 1041: failing,
	1114: failing, 1180: failing, 1181: failing, // no disk, no memory, no commit
	1129: failing, 1226: failing, 1969: failing, 3024: failing, // limits
	1036: readOnly, 1290: readOnly, 1792: readOnly, 1836: readOnly, 1874: readOnly,
	1044: denied, 1045: denied, 1130: denied, 1142: denied, 1143: denied, 1227: denied, 1251: denied, 1370: denied,
	1698: denied, 1820: denied, 1862: denied, 3118: denied, 4151: denied,
	1046: schema, 1049: schema, 1054: schema, 1146: schema, 1364: schema,
	1153: packet,
	1292: badTime,
}

// judge says what to make of an error.
func (c *Catalogue) judge(err error) verdict {
	say := func(sentinel error, advice string) error {
		return fmt.Errorf("%w (%s): %w: %s", sentinel, c.opts.place(), err, advice)
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch kinds[e.Number] {
		case locked:
			return verdict{err: say(metadata.ErrUnavailable, "other writers held the same rows for too long"), attempts: lockAttempts}
		case broken:
			return verdict{err: say(metadata.ErrUnavailable, "see the server's log"), attempts: connAttempts}
		case failing:
			return verdict{err: say(metadata.ErrUnavailable, "the server is short of something: look at its disk, its memory and its log")}
		case readOnly:
			return verdict{err: say(metadata.ErrReadOnly, "connect to the server that takes writes, or switch read_only off")}
		case denied:
			return verdict{err: say(metadata.ErrDenied, "check user and password, and grant the user SELECT, INSERT, UPDATE and DELETE on the database")}
		case schema:
			return verdict{err: say(metadata.ErrSchema, makeTables), forget: true}
		case packet:
			return verdict{err: say(metadata.ErrUnavailable, "raise max_allowed_packet"), attempts: connAttempts, forget: true}
		case badTime:
			return verdict{err: say(metadata.ErrUnavailable, "the server does not take the time"), hour: true}
		default:
			return verdict{err: fmt.Errorf("%s: %w", c.opts.place(), err)}
		}
	}
	if errors.Is(err, metadata.ErrSchema) || errors.Is(err, metadata.ErrUnavailable) {
		return verdict{err: err}
	}
	if isTLS(err) {
		return verdict{err: say(metadata.ErrUnavailable, "see tls and tls_ca, and the server's certificate")}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return verdict{err: say(metadata.ErrUnavailable, "it did not answer within "+c.opts.Timeout.String())}
	}
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return verdict{err: say(metadata.ErrUnavailable, "raise max_allowed_packet"), attempts: connAttempts, forget: true}
	}
	return verdict{err: say(metadata.ErrUnavailable, "is the server running, and reachable from here?"), attempts: connAttempts}
}

// makeTables is what to do about tables that are missing.
const makeTables = "set create_schema: true, or run: prism schema | mysql DATABASE"

// isTLS says whether the two sides did not agree on encryption.
func isTLS(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return verify || authority || host || alert || errors.Is(err, mysql.ErrNoTLS)
}
