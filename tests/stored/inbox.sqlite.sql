CREATE TABLE taskwatch_version (
    version INTEGER NOT NULL
);
CREATE TABLE taskwatch_message (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    subject TEXT NOT NULL,
    delivery TEXT NOT NULL,
    content TEXT,
    received_at FLOAT NOT NULL,
    CONSTRAINT taskwatch_message_delivery UNIQUE (channel, delivery)
);
CREATE INDEX taskwatch_message_channel ON taskwatch_message (channel, number);
CREATE INDEX taskwatch_message_subject ON taskwatch_message (subject);
CREATE INDEX taskwatch_message_received_at ON taskwatch_message (received_at);
CREATE TABLE taskwatch_position (
    feed TEXT NOT NULL,
    position TEXT NOT NULL,
    PRIMARY KEY (feed)
);
CREATE TABLE taskwatch_lease (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    until FLOAT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE taskwatch_sealed (
    number INTEGER NOT NULL,
    feed TEXT NOT NULL,
    content BLOB NOT NULL,
    received_at FLOAT NOT NULL,
    problem TEXT NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE taskwatch_receiver (
    host TEXT NOT NULL,
    url TEXT NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (host, url)
);

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
CREATE INDEX taskwatch_task_state_checked_at ON taskwatch_task_state (checked_at);
