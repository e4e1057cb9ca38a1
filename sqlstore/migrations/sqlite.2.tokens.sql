CREATE TABLE IF NOT EXISTS {initial_access_tokens} (
	tenant     text NOT NULL,
	hash       text NOT NULL,
	max_uses   integer NOT NULL,
	uses       integer NOT NULL,
	expires_at integer NOT NULL,
	document   text NOT NULL,
	PRIMARY KEY (tenant, hash)
);
