CREATE TABLE IF NOT EXISTS {seen} (
	tenant     text NOT NULL,
	seen_key   text NOT NULL,
	expires_at integer NOT NULL,
	PRIMARY KEY (tenant, seen_key)
);
CREATE INDEX IF NOT EXISTS {.seen_expires} ON {seen} (tenant, expires_at);
