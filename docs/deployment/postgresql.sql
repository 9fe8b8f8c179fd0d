-- As the system user postgres: psql -f postgresql.sql
-- The server reaches it through the local socket as the system user evalkit, so there is no password to keep.
CREATE ROLE evalkit LOGIN;
CREATE DATABASE evalkit OWNER evalkit ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE evalkit FROM PUBLIC;
-- An acknowledged answer is on disk only with these, which are PostgreSQL's defaults:
SHOW fsync;                 -- on
SHOW synchronous_commit;    -- on
