CREATE TABLE IF NOT EXISTS {seen} (
	tenant     varbinary(255) NOT NULL,
	seen_key   varbinary(255) NOT NULL,
	expires_at bigint NOT NULL,
	PRIMARY KEY (tenant, seen_key),
	KEY {.seen_expires} (tenant, expires_at)
) ENGINE=InnoDB;
