ALTER TABLE {schema_versions} ADD COLUMN IF NOT EXISTS minimum_version integer;
ALTER TABLE {clients} ADD COLUMN IF NOT EXISTS document_record text;
ALTER TABLE {clients} ADD COLUMN IF NOT EXISTS document_at bigint NOT NULL DEFAULT 0;
ALTER TABLE {clients} ADD COLUMN IF NOT EXISTS withdrawn_at bigint NOT NULL DEFAULT 0;
ALTER TABLE {clients} ADD COLUMN IF NOT EXISTS activated_by text;
ALTER TABLE {initial_access_tokens} ADD COLUMN IF NOT EXISTS created_at bigint NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS {.clients_unused} ON {clients} (tenant, created_at, client_id, activated_at) WHERE last_used_at = 0;
CREATE INDEX IF NOT EXISTS {.clients_used} ON {clients} (tenant, created_at, client_id) WHERE last_used_at > 0;
CREATE INDEX IF NOT EXISTS {.clients_idle} ON {clients} (tenant, last_used_at, created_at, client_id) WHERE last_used_at <> 0;
CREATE INDEX IF NOT EXISTS {.clients_marked} ON {clients} (tenant, policy, source, withdrawn_at, expires_at, created_at, client_id)
	WHERE policy <> '' OR source <> 'dynamic' OR withdrawn_at > 0 OR expires_at > 0;
CREATE INDEX IF NOT EXISTS {.initial_access_tokens_created} ON {initial_access_tokens} (tenant, created_at, hash);
