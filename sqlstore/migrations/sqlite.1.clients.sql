CREATE TABLE IF NOT EXISTS {clients} (
	tenant       text NOT NULL,
	client_id    text NOT NULL,
	revision     integer NOT NULL DEFAULT 1,
	source       text NOT NULL DEFAULT 'dynamic',
	policy       text NOT NULL DEFAULT '',
	created_at   integer NOT NULL,
	expires_at   integer NOT NULL DEFAULT 0,
	activated_at integer NOT NULL DEFAULT 0,
	last_used_at integer NOT NULL DEFAULT 0,
	document     text NOT NULL,
	PRIMARY KEY (tenant, client_id)
);
CREATE TABLE IF NOT EXISTS {client_keys} (
	tenant    text NOT NULL,
	client_id text NOT NULL,
	name      text NOT NULL,
	value     text NOT NULL,
	PRIMARY KEY (tenant, client_id, name),
	FOREIGN KEY (tenant, client_id) REFERENCES {clients} (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS {.client_keys_value} ON {client_keys} (tenant, name, value, client_id);
