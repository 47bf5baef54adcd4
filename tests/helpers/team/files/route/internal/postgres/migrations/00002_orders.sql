-- +goose Up
CREATE TABLE orders (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item     text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0)
);

-- +goose Down
DROP TABLE orders;
