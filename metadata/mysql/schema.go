package mysql

import "strings"

// Schema makes the tables, where they are missing. Hashes are ASCII, which keeps their keys short; tables that others
// made in another character set are used as they are.
const Schema = `CREATE TABLE IF NOT EXISTS blob_ (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  hash CHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  is_stored TINYINT(1) NOT NULL DEFAULT 0,
  length BIGINT UNSIGNED NULL DEFAULT NULL,
  last_accessed_at TIMESTAMP NULL DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY blob_hash_idx (hash),
  KEY blob_last_accessed_idx (last_accessed_at),
  KEY blob_is_stored_idx (is_stored)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS stream (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  hash CHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sd_blob_id BIGINT UNSIGNED NOT NULL,
  last_accessed_at TIMESTAMP NULL DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY stream_hash_idx (hash),
  KEY stream_sd_blob_id_idx (sd_blob_id),
  KEY stream_last_accessed_idx (last_accessed_at),
  CONSTRAINT stream_sd_blob_fk FOREIGN KEY (sd_blob_id) REFERENCES blob_ (id) ON DELETE RESTRICT ON UPDATE CASCADE
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS stream_blob (
  stream_id BIGINT UNSIGNED NOT NULL,
  blob_id BIGINT UNSIGNED NOT NULL,
  num INT NOT NULL,
  PRIMARY KEY (stream_id, blob_id),
  KEY stream_blob_blob_id_idx (blob_id),
  CONSTRAINT stream_blob_stream_fk FOREIGN KEY (stream_id) REFERENCES stream (id) ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT stream_blob_blob_fk FOREIGN KEY (blob_id) REFERENCES blob_ (id) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS blocked (
  hash CHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (hash)
) ENGINE=InnoDB;
`

// statements are those of Schema, one by one.
func statements() []string {
	return strings.SplitAfter(strings.TrimSpace(Schema), ";\n")
}
