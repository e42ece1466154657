-- Pins every setting that shapes text. PostgreSQL 14 and later; an older server gets the answer of
-- manifest_session.sql without a transaction, so that the reader can say so.
SELECT :SERVER_VERSION_NUM < 140000 AS too_old \gset
\if :too_old
SELECT json_build_object('pid', pg_backend_pid(), 'version', :SERVER_VERSION_NUM);
\quit
\endif
SET client_encoding = 'UTF8';
SET client_min_messages = 'error';
SET application_name = 'xtask manifest';
SET standard_conforming_strings = on;
SET search_path = pg_catalog;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET xmlbinary = 'base64';
SET xmloption = 'content';
SET lc_monetary = 'C';
SET lc_numeric = 'C';
SET lc_time = 'C';
SET quote_all_identifiers = off;
-- A policy that would hide rows is an error, never a smaller count.
SET row_security = off;
-- Our own sessions are the parallelism; a container's 64 MB /dev/shm does not bear much more.
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET idle_session_timeout = 0;
-- Somebody holding an exclusive lock on a table must show as an error, not as a tool that hangs.
SET lock_timeout = '60s';
-- transaction_timeout exists since 17.
SELECT count(set_config(name, '0', false)) AS ignored FROM pg_settings WHERE name = 'transaction_timeout' \gset
