/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/registry_schema.h"

#include "pairing/registry_db.h"

const char *const sh_registry_steps[SH_REGISTRY_VERSION] = {
    /* 1 */
    "CREATE TABLE devices ("
    " id BLOB NOT NULL,"
    " relation INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " kind INTEGER NOT NULL,"
    " eid TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " linked_at INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL,"
    " serial BLOB NOT NULL,"
    " not_after INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL,"
    " last_revision INTEGER NOT NULL,"
    " public_key BLOB NOT NULL,"
    " token BLOB NOT NULL,"
    " ca BLOB NOT NULL,"
    " resolving_key BLOB NOT NULL,"
    " PRIMARY KEY (id, relation)) WITHOUT ROWID;"
    /* boot_id and since say when the lock of lock_ms began; 0 ms: no lock runs. */
    "CREATE TABLE attempts ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " failures INTEGER NOT NULL,"
    " lock_ms INTEGER NOT NULL,"
    " boot_id TEXT NOT NULL,"
    " since INTEGER NOT NULL);"
    "INSERT INTO attempts VALUES (1, 0, 0, '', 0);"
    "CREATE TABLE revision ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " last INTEGER NOT NULL);"
    "INSERT INTO revision VALUES (1, 0);"
    "CREATE TABLE received ("
    " item_id BLOB PRIMARY KEY NOT NULL,"
    " root BLOB NOT NULL,"
    " sha256 BLOB NOT NULL,"
    " size INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL,"
    " path BLOB NOT NULL) WITHOUT ROWID;"
    /* No reference to devices: a receipt is evidence and outlives a removed device. */
    "CREATE TABLE receipts ("
    " transfer_id BLOB NOT NULL,"
    " device_id BLOB NOT NULL,"
    " time INTEGER NOT NULL,"
    " roots BLOB NOT NULL,"
    " signature BLOB NOT NULL,"
    " PRIMARY KEY (device_id, transfer_id)) WITHOUT ROWID;",
    /* 2: what the nearness check said */
    "ALTER TABLE devices ADD COLUMN metres REAL;"
    "ALTER TABLE devices ADD COLUMN proximity_samples INTEGER NOT NULL DEFAULT 0;",
    /* 3: the rest of what it rested on; levels at one metre that were measured, of a peer and an adapter of ours */
    "ALTER TABLE devices ADD COLUMN score REAL;"
    "ALTER TABLE devices ADD COLUMN spread REAL;"
    "ALTER TABLE devices ADD COLUMN rate REAL;"
    "ALTER TABLE devices ADD COLUMN level INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE devices ADD COLUMN policy INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE levels ("
    " id BLOB NOT NULL,"
    " adapter TEXT NOT NULL,"
    " dbm REAL NOT NULL,"
    " spread REAL NOT NULL,"
    " samples INTEGER NOT NULL,"
    " positions INTEGER NOT NULL,"
    " time INTEGER NOT NULL,"
    " PRIMARY KEY (id, adapter)) WITHOUT ROWID;",
    /* 4: what began to arrive. The same item may be on its way into two folders. */
    "CREATE TABLE transfers ("
    " item_id BLOB NOT NULL,"
    " dir BLOB NOT NULL,"
    " anchor_id BLOB NOT NULL,"
    " name TEXT NOT NULL,"
    " kind INTEGER NOT NULL,"
    " size INTEGER NOT NULL,"
    " begun INTEGER NOT NULL,"
    " touched INTEGER NOT NULL,"
    " PRIMARY KEY (item_id, dir)) WITHOUT ROWID;",
    /* 5: whom a file came from; empty: not known. A path is that of one file. */
    "ALTER TABLE received ADD COLUMN anchor_id BLOB NOT NULL DEFAULT x'';"
    "CREATE INDEX received_path ON received (path);",
    /* 6: where an anchor was reached last */
    "CREATE TABLE addresses ("
    " id BLOB PRIMARY KEY NOT NULL,"
    " list BLOB NOT NULL,"
    " port INTEGER NOT NULL) WITHOUT ROWID;",
};

enum sh_cause sh_db_version(struct sh_registry *registry, int *ret_version)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    bool row = false;
    SH_TRY(sh_db_prepare(registry, "PRAGMA user_version", &stmt));
    SH_TRY(sh_db_step(registry, stmt, &row));
    int version = row ? sqlite3_column_int(stmt, 0) : 0;
    if (version < 0)
        return sh_fail(SH_ENV_REGISTRY, "%s: version %d", registry->path, version);
    if (version > SH_REGISTRY_VERSION)
        return sh_fail(SH_ENV_REGISTRY_NEWER, "%s: version %d, this one knows %d", registry->path,
                       version, SH_REGISTRY_VERSION);
    *ret_version = version;
    return SH_OK;
}

static enum sh_cause run_steps(struct sh_registry *registry)
{
    static const char *const stamps[SH_REGISTRY_VERSION] = {
        "PRAGMA user_version = 1", "PRAGMA user_version = 2", "PRAGMA user_version = 3",
        "PRAGMA user_version = 4", "PRAGMA user_version = 5", "PRAGMA user_version = 6"};
    int version = 0;
    /* Read again inside the transaction: another process may have been first. */
    SH_TRY(sh_db_version(registry, &version));
    for (; version < SH_REGISTRY_VERSION; version++) {
        SH_TRY(sh_db_exec(registry, sh_registry_steps[version]));
        SH_TRY(sh_db_exec(registry, stamps[version]));
    }
    return SH_OK;
}

enum sh_cause sh_db_migrate(struct sh_registry *registry)
{
    int version = 0;
    SH_TRY(sh_db_version(registry, &version));
    if (version == SH_REGISTRY_VERSION)
        return SH_OK;
    SH_TRY(sh_db_begin(registry));
    return sh_db_end(registry, run_steps(registry));
}
