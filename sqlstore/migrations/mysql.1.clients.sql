CREATE TABLE IF NOT EXISTS {clients} (
	tenant       varbinary(255) NOT NULL,
	client_id    varbinary(255) NOT NULL,
	revision     bigint NOT NULL DEFAULT 1,
	source       varbinary(255) NOT NULL DEFAULT 'dynamic',
	policy       varbinary(255) NOT NULL DEFAULT '',
	created_at   bigint NOT NULL,
	expires_at   bigint NOT NULL DEFAULT 0,
	activated_at bigint NOT NULL DEFAULT 0,
	last_used_at bigint NOT NULL DEFAULT 0,
	document     longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	PRIMARY KEY (tenant, client_id)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS {client_keys} (
	tenant    varbinary(255) NOT NULL,
	client_id varbinary(255) NOT NULL,
	name      varbinary(255) NOT NULL,
	value     varbinary(255) NOT NULL,
	PRIMARY KEY (tenant, client_id, name),
	KEY {.client_keys_value} (tenant, name, value, client_id),
	FOREIGN KEY (tenant, client_id) REFERENCES {clients} (tenant, client_id) ON DELETE CASCADE
) ENGINE=InnoDB;
