CREATE TABLE IF NOT EXISTS {seen} (
	tenant     text COLLATE "C" NOT NULL,
	seen_key   text COLLATE "C" NOT NULL,
	expires_at bigint NOT NULL,
	PRIMARY KEY (tenant, seen_key)
);
CREATE INDEX IF NOT EXISTS {.seen_expires} ON {seen} (tenant, expires_at);
