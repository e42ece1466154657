-- Runs once, on an empty volume, as the role that POSTGRES_USER names; POSTGRES_DB has made `platform` already.
-- The owner is that role, whatever its name.
CREATE DATABASE users;
CREATE DATABASE labeler;
