BEGIN TRANSACTION;
CREATE TABLE chunks (
	run_id VARCHAR(200) NOT NULL, 
	chunk_id VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	generation INTEGER NOT NULL, 
	answered INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	skipped INTEGER NOT NULL, 
	in_doubt INTEGER NOT NULL, 
	committed_at DATETIME, 
	PRIMARY KEY (run_id, chunk_id)
);
INSERT INTO "chunks" VALUES('old-run','000000','partial',1,1,0,0,1,'2026-01-02 03:04:06.123456');
INSERT INTO "chunks" VALUES('old-run','000001','planned',0,0,0,0,0,NULL);
CREATE TABLE commits (
	commit_id VARCHAR(64) NOT NULL, 
	"table" VARCHAR(32) NOT NULL, 
	run_id VARCHAR(200) NOT NULL, 
	chunk_id VARCHAR(32) NOT NULL, 
	path TEXT NOT NULL, 
	rows BIGINT NOT NULL, 
	bytes BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	schema_version INTEGER NOT NULL, 
	schema_sha VARCHAR(64) NOT NULL, 
	code_version VARCHAR(64) NOT NULL, 
	committed_at DATETIME NOT NULL, 
	PRIMARY KEY (commit_id)
);
INSERT INTO "commits" VALUES('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','answers','old-run','000000','answers/run_id=old-run/chunk-000000.parquet',2,1234,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',1,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','0.1.0','2026-01-02 03:04:05.678901');
CREATE TABLE meta (
	"key" VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('ledger_version','1');
CREATE TABLE requests (
	request_id VARCHAR(64) NOT NULL, 
	run_id VARCHAR(200) NOT NULL, 
	chunk_id VARCHAR(32) NOT NULL, 
	query_id VARCHAR(128) NOT NULL, 
	pair_id TEXT NOT NULL, 
	call_index INTEGER NOT NULL, 
	request_key VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	sends INTEGER NOT NULL, 
	reserved_nano BIGINT NOT NULL, 
	cost_nano BIGINT, 
	doubt_nano BIGINT NOT NULL, 
	doubts INTEGER NOT NULL, 
	doubt_reason TEXT, 
	payload TEXT, 
	claimed_at DATETIME NOT NULL, 
	settled_at DATETIME, 
	PRIMARY KEY (request_id)
);
INSERT INTO "requests" VALUES('q1','old-run','000000','query-q1','small@@none',0,'key-q1','settled',1,0,400000,0,0,NULL,'{"answer": "été"}','2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901');
INSERT INTO "requests" VALUES('q2','old-run','000000','query-q2','small@@none',0,'key-q2','in_doubt',1,0,NULL,1000000,1,'connection reset','{}','2026-01-02 03:04:05.678901',NULL);
INSERT INTO "requests" VALUES('q3','old-run','000001','query-q3','small@@none',0,'key-q3','settled',1,0,NULL,0,0,NULL,'{"answer": "paid, not yet committed"}','2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901');
INSERT INTO "requests" VALUES('q4','old-run','000001','query-q4','small@@none',0,'key-q4','claimed',1,1000000,NULL,0,0,NULL,NULL,'2026-01-02 03:04:05.678901',NULL);
CREATE TABLE retries (
	run_id VARCHAR(200) NOT NULL, 
	query_id VARCHAR(128) NOT NULL, 
	chunk_id VARCHAR(32) NOT NULL, 
	round INTEGER NOT NULL, 
	done BOOLEAN NOT NULL, 
	PRIMARY KEY (run_id, query_id)
);
INSERT INTO "retries" VALUES('old-run','query-q2','000000',1,0);
CREATE TABLE runs (
	run_id VARCHAR(200) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	state VARCHAR(24) NOT NULL, 
	input_path TEXT NOT NULL, 
	input_sha256 VARCHAR(64) NOT NULL, 
	config_json TEXT NOT NULL, 
	config_sha VARCHAR(64) NOT NULL, 
	code_version VARCHAR(64) NOT NULL, 
	max_cost_nano BIGINT, 
	rows BIGINT NOT NULL, 
	unique_rows BIGINT NOT NULL, 
	bad_rows BIGINT NOT NULL, 
	chunks INTEGER NOT NULL, 
	sandbox_tier VARCHAR(32), 
	profile_id VARCHAR(64), 
	flow_run_id VARCHAR(64), 
	mlflow_run_id VARCHAR(64), 
	message TEXT, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (run_id)
);
INSERT INTO "runs" VALUES('old-run','route','cancelled','backlog.jsonl','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','{"router": "cluster"}','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','0.1.0',1500000000,4,3,1,2,NULL,NULL,NULL,NULL,NULL,'2026-01-02 03:04:05.678901',NULL);
CREATE INDEX requests_by_chunk ON requests (run_id, chunk_id);
CREATE INDEX commits_by_run ON commits (run_id, chunk_id);
COMMIT;
