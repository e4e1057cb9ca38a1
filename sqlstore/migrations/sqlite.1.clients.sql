CREATE TABLE IF NOT EXISTS {clients} (
	tenant           text NOT NULL,
	client_id        text NOT NULL,
	revision         integer NOT NULL DEFAULT 1,
	status           text NOT NULL DEFAULT '',
	source           text NOT NULL,
	software_id      text NOT NULL DEFAULT '',
	registered_by    text NOT NULL DEFAULT '',
	policy           text NOT NULL DEFAULT '',
	statement_issuer text NOT NULL DEFAULT '',
	statement_id     text NOT NULL DEFAULT '',
	created_at       integer NOT NULL,
	activated_at     integer NOT NULL DEFAULT 0,
	last_used_at     integer NOT NULL DEFAULT 0,
	expires_at       integer NOT NULL DEFAULT 0,
	document         text NOT NULL,
	PRIMARY KEY (tenant, client_id)
);
CREATE INDEX IF NOT EXISTS {.clients_times} ON {clients} (tenant, created_at, last_used_at, expires_at, source);
CREATE INDEX IF NOT EXISTS {.clients_software} ON {clients} (tenant, software_id, client_id) WHERE software_id <> '';
CREATE INDEX IF NOT EXISTS {.clients_caller} ON {clients} (tenant, registered_by, client_id) WHERE registered_by <> '';
CREATE INDEX IF NOT EXISTS {.clients_status} ON {clients} (tenant, status, client_id) WHERE status <> '';
CREATE INDEX IF NOT EXISTS {.clients_statement} ON {clients} (tenant, statement_issuer, statement_id, client_id) WHERE statement_issuer <> '';
