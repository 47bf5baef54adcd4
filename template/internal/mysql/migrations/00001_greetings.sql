-- The example to replace. A migration that has been released never changes: add the next one,
-- and keep the schema one that the previous release can still work with. Change one thing in each:
-- MySQL does not take back a change of the schema when a later statement fails.

-- +goose Up
CREATE TABLE greetings (
    -- Bytes, which are compared as they are. A text's collation may ignore case, or spaces at the end.
    name       varbinary(256) PRIMARY KEY CHECK (length(name) > 0),
    message    text NOT NULL,
    created_at datetime(6) NOT NULL
) DEFAULT CHARSET = utf8mb4;

-- +goose Down
DROP TABLE greetings;
