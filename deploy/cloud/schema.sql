-- What headgate-sink writes to; `headgate-sink --create-table` runs this. PostgreSQL 11 or newer.

-- One row a record. The key is the record's identity: what comes twice is stored once.
CREATE TABLE IF NOT EXISTS headgate_records (
  gateway     text        NOT NULL,
  log         text        NOT NULL,  -- the log's incarnation: offsets begin again with another one
  stream      text        NOT NULL,  -- readings, alerts, audit or dead-letter
  part        integer     NOT NULL,
  "offset"    bigint      NOT NULL,
  device      text        NOT NULL,
  id          text,                  -- the device's own message id
  topic       text        NOT NULL,  -- at the gateway
  historical  boolean     NOT NULL,  -- it had waited on the gateway
  received_at timestamptz NOT NULL,  -- by the gateway's clock
  device_time timestamptz,           -- by the device's; NULL also for a time outside years 1 to 9999
  reason      text,                  -- of a dead letter: an error code
  payload     bytea       NOT NULL,  -- the bytes as the device sent them
  is_text     boolean     NOT NULL,  -- valid UTF-8 without NUL: convert_from(payload, 'UTF8') works
  inserted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (gateway, log, stream, part, "offset")
);

-- What is no message of Headgate's, or can't be stored. Acknowledged all the same, so that the rest
-- goes on. The same message is kept once.
CREATE TABLE IF NOT EXISTS headgate_rejected (
  digest     bytea       PRIMARY KEY,  -- SHA-256 of topic and properties, NUL, payload
  topic      text        NOT NULL,
  payload    bytea       NOT NULL,
  properties text        NOT NULL,  -- user properties or headers, a JSON object
  reason     text        NOT NULL,
  at         timestamptz NOT NULL DEFAULT now()
);
