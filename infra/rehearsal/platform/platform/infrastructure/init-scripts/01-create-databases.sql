-- Runs once, on an empty volume. The database named by POSTGRES_DB exists already.
CREATE DATABASE users OWNER admin;
CREATE DATABASE labeler OWNER admin;
