// Package mysql is the catalogue in a MySQL or MariaDB, with the tables that existing deployments have (Schema). Others
// may write to them at the same time; rows are taken as they are.
//
// Values reach the server through placeholders only. Times travel as text in UTC, and the zone of the session is left
// alone, since others read and write the same columns that way. Every batch is one transaction at READ COMMITTED, with
// its rows in the order of their hashes, so that writers rarely lock each other out. What fails for a passing reason, such
// as a deadlock or a lost connection, is done again a few times: every write may be done twice, so it does not matter
// whether the first was committed.
//
// New touches nothing. The tables are looked at with the first call that needs them, and until that works: a program
// starts without its database.
package mysql
