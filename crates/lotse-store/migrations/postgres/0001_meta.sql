-- Facts about this database itself, such as the node's generation.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BYTEA NOT NULL
);
