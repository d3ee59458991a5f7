CREATE TABLE tenants (
    id   TEXT PRIMARY KEY,
    tier TEXT NOT NULL
);

CREATE TABLE projects (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id  TEXT    NOT NULL REFERENCES tenants (id),
    name       TEXT    NOT NULL,
    created_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX projects_of_tenant ON projects (tenant_id, id);

CREATE TABLE reports (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id    TEXT    NOT NULL REFERENCES tenants (id),
    project_id   INTEGER NOT NULL REFERENCES projects (id),
    title        TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    requested_by TEXT    NOT NULL,
    requested_at INTEGER NOT NULL
);
CREATE INDEX reports_of_tenant ON reports (tenant_id, id);

CREATE TABLE report_lines (
    report_id INTEGER NOT NULL REFERENCES reports (id),
    label     TEXT    NOT NULL,
    amount    INTEGER NOT NULL,
    PRIMARY KEY (report_id, label)
);

CREATE TABLE activity (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id  TEXT    NOT NULL REFERENCES tenants (id),
    project_id INTEGER NOT NULL REFERENCES projects (id),
    action     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    at         INTEGER NOT NULL
);
CREATE INDEX activity_of_tenant ON activity (tenant_id, id);
CREATE INDEX activity_of_project ON activity (project_id, action);
