CREATE TABLE IF NOT EXISTS {initial_access_tokens} (
	tenant     varbinary(255) NOT NULL,
	hash       varbinary(255) NOT NULL,
	max_uses   bigint NOT NULL,
	uses       bigint NOT NULL,
	expires_at bigint NOT NULL,
	document   longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	PRIMARY KEY (tenant, hash)
) ENGINE=InnoDB;
