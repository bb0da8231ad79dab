-- Takes repeats out of a table that got its rows some other way than through headgate-sink: a bulk
-- load, a stream that a managed service writes, a warehouse whose tables have no keys. Headgate
-- delivers at least once, so such a table may hold a record twice or more. All of them are the same
-- but for `historical` (the flag says what link it was sent on) and `inserted_at`; one is kept.
--
--   psql -v table=readings -v hours=48 -f dedup.sql
--
-- `table` is the name alone; -v schema=NAME says where it is, if not where the search path finds it.
--
-- Run it every hour or so. `hours` says how far back it looks for rows that have just come. It must
-- reach back beyond the last run that succeeded; a run more often, or twice, does no harm.
--
-- How it looks: repeats of what came in the window are searched for in the whole table, but only for
-- identities that are in the window, and in the table only from the oldest `received_at` among them
-- on (less a minute): a repeat has the same received_at as what it repeats. So partitions and
-- blocks before that are not read, if the table is partitioned by received_at, or has an index on it
-- (btree, or the cheap BRIN). A gateway that was away for a month widens that by itself, once.
--
-- Needs these columns, none of them NULL (a row whose received_at is NULL is left alone):
--
--   gateway, log, stream, part, "offset"   the identity; any types
--   received_at  timestamptz               the record's `receivedAt`, which is ms since 1970:
--                                          to_timestamp(ms / 1000.0), not the number itself
--   inserted_at  timestamptz               when the row came into the table: DEFAULT now()
--
-- In one transaction; rows that come meanwhile are for the next run. PostgreSQL 9.5 or newer.
--
-- Other warehouses: the statement below is the idea, `ctid` is PostgreSQL's. Where nothing names a
-- row, write the kept ones anew:
--
--   CREATE OR REPLACE TABLE readings AS SELECT * FROM readings
--   QUALIFY row_number() OVER (PARTITION BY gateway, log, stream, part, "offset"
--                              ORDER BY inserted_at) = 1;
--
-- (BigQuery, Snowflake, DuckDB; restrict both to the partitions that the window touches), or let
-- the readers do so in a view.

\set ON_ERROR_STOP on
\if :{?table} \else \set table headgate_records \endif
\if :{?hours} \else \set hours 48 \endif

BEGIN;

-- The bound below travels as text: in this style it means the same wherever it is read.
SET LOCAL datestyle = ISO;

\if :{?schema}
  SELECT set_config('search_path', format('%I', :'schema'), true) \gset
\endif

CREATE TEMP TABLE headgate_recent ON COMMIT DROP AS
  SELECT gateway, log, stream, part, "offset", min(received_at) AS received_at
  FROM :"table"
  WHERE inserted_at >= now() - make_interval(hours => :hours)
  GROUP BY gateway, log, stream, part, "offset";

ANALYZE headgate_recent;

-- The bound is a constant for the planner: \gset runs the query first.
SELECT coalesce(min(received_at), now()) - interval '1 minute' AS oldest FROM headgate_recent \gset

-- The first that came stays; of those that came together, the one that stands first.
WITH ranked AS (
  SELECT t.tableoid AS part_of, t.ctid AS place, row_number() OVER (
    PARTITION BY t.gateway, t.log, t.stream, t.part, t."offset"
    ORDER BY t.inserted_at, t.tableoid, t.ctid
  ) AS copy
  FROM :"table" AS t
  JOIN headgate_recent AS r USING (gateway, log, stream, part, "offset")
  WHERE t.received_at >= :'oldest'
)
DELETE FROM :"table" AS t
USING ranked
WHERE t.tableoid = ranked.part_of AND t.ctid = ranked.place AND ranked.copy > 1;

COMMIT;
