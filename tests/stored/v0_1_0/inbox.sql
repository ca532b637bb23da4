BEGIN TRANSACTION;
CREATE TABLE taskwatch_lease (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	until FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "taskwatch_lease" VALUES('feed trigger mine','f00d 1',1.79608530163398742674e+09);
CREATE TABLE taskwatch_message (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	delivery TEXT NOT NULL, 
	content TEXT, 
	received_at FLOAT NOT NULL, 
	CONSTRAINT taskwatch_message_delivery UNIQUE (channel, delivery)
);
INSERT INTO "taskwatch_message" VALUES(1,'automic','0123456789ab','1000001 1900','{"run_id": 1000001, "status": 1900}',1800000000.0);
INSERT INTO "taskwatch_message" VALUES(2,'fake queue','s','a','{"name": "made", "at": 1800000000.0, "content": {"of": "a"}}',1800000000.0);
INSERT INTO "taskwatch_message" VALUES(3,'fake queue','s','b','{"name": "made", "at": 1800000000.0, "content": {"of": "b"}}',1800000000.0);
INSERT INTO "taskwatch_message" VALUES(4,'aside','fake queue','fake queue e848f2ed1e604aa4acf70f3672c2d2945ddcf90906d418dbd1f111ee12194135','{"problem": "it has no name", "sealed": "gAAAAABrDhX5EYIFKAyhIKfyVIuHsbK1ongS1N2dMU12KvEUpRJdF3U9XJ05AXTjcCXzg27mSl9x7I0Ryz_e4TcK7ayOvA25jg=="}',1800000000.0);
INSERT INTO "taskwatch_message" VALUES(5,'taskwatch.cancel','cancel 0123456789abcdef','0123456789abcdef','{"cancel_id": "0123456789abcdef", "conn_id": "automic_default", "ref": "1000001", "id_space": "", "options": {}, "dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "keeps_record": true, "is_users": false, "unknown_until": 0.0, "valid_until": null, "kept_at": 1800000000.0}',1800000000.0);
CREATE TABLE taskwatch_position (
	feed TEXT NOT NULL, 
	position TEXT NOT NULL, 
	PRIMARY KEY (feed)
);
INSERT INTO "taskwatch_position" VALUES('feed trigger mine','2');
INSERT INTO "taskwatch_position" VALUES('spot of feed trigger mine','{"number": 2, "passed": 2, "delivery": "a", "at": 1800000000.0}');
CREATE TABLE taskwatch_receiver (
	host TEXT NOT NULL, 
	url TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (host, url)
);
INSERT INTO "taskwatch_receiver" VALUES('host','http://127.0.0.1:8901',1.7960852416370048523e+09);
CREATE TABLE taskwatch_sealed (
	number INTEGER NOT NULL, 
	feed TEXT NOT NULL, 
	content BLOB NOT NULL, 
	received_at FLOAT NOT NULL, 
	problem TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "taskwatch_sealed" VALUES(1,'fake queue',X'67414141414142724468583546303738437441387A3842425865755439767A6676745533505343685A6A4F65506245547744677641544F6E70393038654A63546A634D72764F75642D445755545F71366B4C5F7149746C4B626D76376B4E446761673D3D',1800000000.0,'');
CREATE TABLE taskwatch_task_state (
	airflow TEXT NOT NULL, 
	dag_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	map_index INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	content TEXT NOT NULL, 
	checked_at FLOAT NOT NULL, 
	PRIMARY KEY (airflow, dag_id, run_id, task_id, map_index, name)
);
INSERT INTO "taskwatch_task_state" VALUES('a1b2c3d4e5f60718','d','r','t',3,'taskwatch_start','{"mark": {"run_started_at": "2026-01-31T06:00:00+00:00", "try_number": 1, "clear_number": 0, "carrier": ""}, "value": {"carrier": "00-1b13f0b1b1163d4c9132880ef4baa1ff-371693985ebe9ae4-00", "clear_number": 0, "conn_id": "automic_default", "fingerprint": "8947df3f08c964d7", "id_space": "http://127.0.0.1:39407/automic/ae/api/v1 client 100", "inputs": {"automic_conn_id": "2557", "request.execution_option": "3a24", "request.inputs.DAY": "c3ce", "request.object_name": "76c8"}, "is_adopted": false, "is_called_back": true, "is_delivered": false, "marker": "JOBS-T-7e3c30e1ea6d", "max_tries": 2, "ref": "1000001", "start_id": "7e3c30e1ea6d", "started_at": "2026-12-01T00:33:39.096339+00:00"}}',1.79608524164098787311e+09);
CREATE TABLE taskwatch_version (
	version INTEGER NOT NULL
);
INSERT INTO "taskwatch_version" VALUES(1);
CREATE INDEX taskwatch_message_subject ON taskwatch_message (subject);
CREATE INDEX taskwatch_message_received_at ON taskwatch_message (received_at);
CREATE INDEX taskwatch_message_channel ON taskwatch_message (channel, number);
CREATE INDEX taskwatch_task_state_checked_at ON taskwatch_task_state (checked_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('taskwatch_message',5);
COMMIT;
