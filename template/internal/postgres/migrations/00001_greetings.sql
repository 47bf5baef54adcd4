-- The example to replace. A migration that has been released never changes: add the next one,
-- and keep the schema one that the previous release can still work with.

-- +goose Up
CREATE TABLE greetings (
    name       text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    message    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE greetings;
