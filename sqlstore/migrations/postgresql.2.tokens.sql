CREATE TABLE IF NOT EXISTS {initial_access_tokens} (
	tenant     text COLLATE "C" NOT NULL,
	hash       text COLLATE "C" NOT NULL,
	max_uses   bigint NOT NULL,
	uses       bigint NOT NULL,
	expires_at bigint NOT NULL,
	document   text NOT NULL,
	PRIMARY KEY (tenant, hash)
);
