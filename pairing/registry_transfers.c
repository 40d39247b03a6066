/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "pairing/registry_db.h"

#define COLUMNS "item_id, dir, anchor_id, name, kind, size, begun, touched"

enum sh_cause sh_registry_batch_begin(struct sh_registry *registry)
{
    return sh_db_begin(registry);
}

enum sh_cause sh_registry_batch_end(struct sh_registry *registry, enum sh_cause cause)
{
    return sh_db_end(registry, cause);
}

/* A path is bytes, not text. */
static void bind_dir(sqlite3_stmt *stmt, int at, const char *dir)
{
    sh_db_bind_blob(stmt, at, dir, strnlen(dir, SH_TRANSFER_DIR_MAX));
}

enum sh_cause sh_registry_put_transfer(struct sh_registry *registry,
                                       const struct sh_transfer *transfer)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "INSERT INTO transfers (" COLUMNS ") VALUES (?,?,?,?,?,?,?,?)"
                         " ON CONFLICT (item_id, dir) DO UPDATE SET anchor_id = excluded.anchor_id,"
                         " name = excluded.name, kind = excluded.kind, size = excluded.size,"
                         " touched = excluded.touched",
                         &stmt));
    sh_db_bind_blob(stmt, 1, transfer->item_id, sizeof(transfer->item_id));
    bind_dir(stmt, 2, transfer->dir);
    sh_db_bind_blob(stmt, 3, transfer->anchor_id, sizeof(transfer->anchor_id));
    sh_db_bind_text(stmt, 4, transfer->name, SH_TRANSFER_NAME_MAX);
    sh_db_bind_int(stmt, 5, transfer->kind);
    sh_db_bind_int(stmt, 6, (int64_t)transfer->size);
    sh_db_bind_int(stmt, 7, transfer->begun);
    sh_db_bind_int(stmt, 8, transfer->touched);
    return sh_db_run(registry, stmt);
}

enum sh_cause sh_registry_remove_transfer(struct sh_registry *registry, const uint8_t item_id[16],
                                          const char *dir)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry, "DELETE FROM transfers WHERE item_id = ? AND dir = ?", &stmt));
    sh_db_bind_blob(stmt, 1, item_id, 16);
    bind_dir(stmt, 2, dir);
    return sh_db_run(registry, stmt);
}

static enum sh_cause read_row(struct sh_registry *registry, sqlite3_stmt *stmt,
                              struct sh_transfer *ret_transfer)
{
    struct sh_transfer *t = ret_transfer;
    *t = (struct sh_transfer){.kind = sqlite3_column_int(stmt, 4),
                              .size = (uint64_t)sqlite3_column_int64(stmt, 5),
                              .begun = sqlite3_column_int64(stmt, 6),
                              .touched = sqlite3_column_int64(stmt, 7)};
    if (!sh_db_blob_exact(stmt, 0, t->item_id, sizeof(t->item_id)) ||
        !sh_db_text(stmt, 1, t->dir, sizeof(t->dir)) ||
        !sh_db_blob_exact(stmt, 2, t->anchor_id, sizeof(t->anchor_id)) ||
        !sh_db_text(stmt, 3, t->name, sizeof(t->name)))
        return sh_db_damaged(registry, "transfers");
    return SH_OK;
}

static enum sh_cause read_one(struct sh_registry *registry, sqlite3_stmt *stmt,
                              struct sh_transfer *ret_transfer)
{
    sh_autofree struct sh_transfer *transfer = malloc(sizeof(*transfer));
    bool row = false;
    if (!transfer)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return SH_LINKED_UNKNOWN;
    SH_TRY(read_row(registry, stmt, transfer));
    *ret_transfer = *transfer;
    return SH_OK;
}

enum sh_cause sh_registry_find_transfer(struct sh_registry *registry,
                                        const uint8_t anchor_id[SH_DEVICE_ID_SIZE],
                                        const char *name, const char *dir,
                                        const uint8_t item_id[16], struct sh_transfer *ret_transfer)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "SELECT " COLUMNS " FROM transfers WHERE anchor_id = ? AND name = ? AND"
                         " dir = ? AND item_id <> ? ORDER BY touched DESC, begun DESC LIMIT 1",
                         &stmt));
    sh_db_bind_blob(stmt, 1, anchor_id, SH_DEVICE_ID_SIZE);
    sh_db_bind_text(stmt, 2, name, SH_TRANSFER_NAME_MAX);
    bind_dir(stmt, 3, dir);
    sh_db_bind_blob(stmt, 4, item_id, 16);
    return read_one(registry, stmt, ret_transfer);
}

enum sh_cause sh_registry_get_transfer(struct sh_registry *registry, const uint8_t item_id[16],
                                       const char *dir, struct sh_transfer *ret_transfer)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "SELECT " COLUMNS " FROM transfers WHERE item_id = ? AND dir = ?", &stmt));
    sh_db_bind_blob(stmt, 1, item_id, 16);
    bind_dir(stmt, 2, dir);
    return read_one(registry, stmt, ret_transfer);
}

enum sh_cause sh_registry_list_transfers(struct sh_registry *registry,
                                         struct sh_transfer **ret_transfers, size_t *ret_count)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    sh_autofree struct sh_transfer *list = NULL;
    size_t count = 0, room = 0;
    bool row = false;
    SH_TRY(sh_db_prepare(registry,
                         "SELECT " COLUMNS " FROM transfers ORDER BY touched DESC, begun DESC,"
                         " name, item_id LIMIT ?",
                         &stmt));
    sh_db_bind_int(stmt, 1, SH_TRANSFERS_MAX);
    for (;;) {
        SH_TRY(sh_db_step(registry, stmt, &row));
        if (!row)
            break;
        if (count == room) {
            room = room * 2 + 8;
            struct sh_transfer *more = realloc(list, room * sizeof(*more));
            if (!more)
                return SH_ENV_NO_MEMORY;
            list = more;
        }
        SH_TRY(read_row(registry, stmt, &list[count]));
        count++;
    }
    *ret_transfers = list;
    *ret_count = count;
    list = NULL;
    return SH_OK;
}
