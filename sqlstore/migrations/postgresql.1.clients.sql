CREATE TABLE IF NOT EXISTS {clients} (
	tenant       text COLLATE "C" NOT NULL,
	client_id    text COLLATE "C" NOT NULL,
	revision     bigint NOT NULL DEFAULT 1,
	source       text COLLATE "C" NOT NULL DEFAULT 'dynamic',
	policy       text COLLATE "C" NOT NULL DEFAULT '',
	created_at   bigint NOT NULL,
	expires_at   bigint NOT NULL DEFAULT 0,
	activated_at bigint NOT NULL DEFAULT 0,
	last_used_at bigint NOT NULL DEFAULT 0,
	document     text NOT NULL,
	PRIMARY KEY (tenant, client_id)
);
CREATE TABLE IF NOT EXISTS {client_keys} (
	tenant    text COLLATE "C" NOT NULL,
	client_id text COLLATE "C" NOT NULL,
	name      text COLLATE "C" NOT NULL,
	value     text COLLATE "C" NOT NULL,
	PRIMARY KEY (tenant, client_id, name),
	FOREIGN KEY (tenant, client_id) REFERENCES {clients} (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS {.client_keys_value} ON {client_keys} (tenant, name, value, client_id);
