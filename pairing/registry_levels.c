/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "pairing/registry_db.h"

enum sh_cause sh_registry_put_level(struct sh_registry *registry,
                                    const struct sh_known_level *level)
{
    if (!isfinite(level->dbm) || !isfinite(level->spread_db))
        return sh_fail(SH_INTERNAL_BUG, "a level that cannot be kept");
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "INSERT OR REPLACE INTO levels"
                         " (id, adapter, dbm, spread, samples, positions, time)"
                         " VALUES (?,?,?,?,?,?,?)",
                         &stmt));
    sh_db_bind_blob(stmt, 1, level->id, sizeof(level->id));
    sh_db_bind_text(stmt, 2, level->adapter, SH_ADAPTER_MAX);
    sh_db_bind_double(stmt, 3, level->dbm);
    sh_db_bind_double(stmt, 4, level->spread_db);
    sh_db_bind_int(stmt, 5, level->samples);
    sh_db_bind_int(stmt, 6, level->positions);
    sh_db_bind_int(stmt, 7, level->time);
    return sh_db_run(registry, stmt);
}

enum sh_cause sh_registry_get_level(struct sh_registry *registry,
                                    const uint8_t id[SH_DEVICE_ID_SIZE], const char *adapter,
                                    struct sh_known_level *ret_level)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    bool row = false;
    SH_TRY(sh_db_prepare(registry,
                         "SELECT id, adapter, dbm, spread, samples, positions, time FROM levels"
                         " WHERE id = ?1 AND (?2 IS NULL OR adapter = ?2)"
                         " ORDER BY time DESC LIMIT 1",
                         &stmt));
    sh_db_bind_blob(stmt, 1, id, SH_DEVICE_ID_SIZE);
    if (adapter)
        sh_db_bind_text(stmt, 2, adapter, SH_ADAPTER_MAX);
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return SH_LINKED_UNKNOWN;
    struct sh_known_level level = {.dbm = sqlite3_column_double(stmt, 2),
                                   .spread_db = sqlite3_column_double(stmt, 3),
                                   .samples = (unsigned)sqlite3_column_int64(stmt, 4),
                                   .positions = (unsigned)sqlite3_column_int64(stmt, 5),
                                   .time = sqlite3_column_int64(stmt, 6)};
    if (!sh_db_blob_exact(stmt, 0, level.id, sizeof(level.id)) ||
        !sh_db_text(stmt, 1, level.adapter, sizeof(level.adapter)))
        return sh_db_damaged(registry, "levels");
    *ret_level = level;
    return SH_OK;
}
