/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "pairing/registry_db.h"

#define ROOT_SIZE     32
#define RECEIPT_ITEMS 1024
#define SIGNATURE_MAX 256

/* ---- revisions ---- */

static enum sh_cause next_revision(struct sh_registry *registry, int64_t *ret_revision)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    bool row = false;
    SH_TRY(sh_db_prepare(registry, "UPDATE revision SET last = last + 1 RETURNING last", &stmt));
    SH_TRY(sh_db_step(registry, stmt, &row));
    int64_t revision = row ? sqlite3_column_int64(stmt, 0) : 0;
    if (revision <= 0)
        return sh_db_damaged(registry, "revision");
    SH_TRY(sh_db_run(registry, stmt));
    *ret_revision = revision;
    return SH_OK;
}

enum sh_cause sh_registry_next_revision(struct sh_registry *registry, uint64_t *ret_revision)
{
    int64_t revision = 0;
    SH_TRY(sh_db_begin(registry));
    SH_TRY(sh_db_end(registry, next_revision(registry, &revision)));
    *ret_revision = (uint64_t)revision;
    return SH_OK;
}

/* ---- received items ---- */

/* A path is bytes, not text. */
static void bind_path(sqlite3_stmt *stmt, int at, const char *path)
{
    sh_db_bind_blob(stmt, at, path, strnlen(path, sizeof(((struct sh_received *)0)->path) - 1));
}

enum sh_cause sh_registry_put_received(struct sh_registry *registry,
                                       const struct sh_received *received)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "INSERT OR REPLACE INTO received"
                         " (item_id, root, sha256, size, mtime_ns, path, anchor_id)"
                         " VALUES (?,?,?,?,?,?,?)",
                         &stmt));
    sh_db_bind_blob(stmt, 1, received->item_id, sizeof(received->item_id));
    sh_db_bind_blob(stmt, 2, received->root, sizeof(received->root));
    sh_db_bind_blob(stmt, 3, received->sha256, sizeof(received->sha256));
    sh_db_bind_int(stmt, 4, (int64_t)received->size);
    sh_db_bind_int(stmt, 5, received->mtime_ns);
    bind_path(stmt, 6, received->path);
    sh_db_bind_blob(stmt, 7, received->anchor_id, sizeof(received->anchor_id));
    return sh_db_run(registry, stmt);
}

#define RECEIVED                                                                                   \
    "SELECT item_id, root, sha256, size, mtime_ns, path, anchor_id FROM received WHERE "

/* The one row of a bound statement that begins with RECEIVED. */
static enum sh_cause read_received(struct sh_registry *registry, sqlite3_stmt *stmt,
                                   struct sh_received *ret_received)
{
    static const uint8_t nobody[SH_DEVICE_ID_SIZE];
    sh_autofree struct sh_received *received = calloc(1, sizeof(*received));
    bool row = false;
    if (!received)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return SH_LINKED_UNKNOWN;
    received->size = (uint64_t)sqlite3_column_int64(stmt, 3);
    received->mtime_ns = sqlite3_column_int64(stmt, 4);
    if (!sh_db_blob_exact(stmt, 0, received->item_id, sizeof(received->item_id)) ||
        !sh_db_blob_exact(stmt, 1, received->root, sizeof(received->root)) ||
        !sh_db_blob_exact(stmt, 2, received->sha256, sizeof(received->sha256)) ||
        !sh_db_text(stmt, 5, received->path, sizeof(received->path)))
        return sh_db_damaged(registry, "received");
    if (sqlite3_column_bytes(stmt, 6) == 0)
        memcpy(received->anchor_id, nobody, sizeof(nobody));
    else if (!sh_db_blob_exact(stmt, 6, received->anchor_id, sizeof(received->anchor_id)))
        return sh_db_damaged(registry, "received");
    *ret_received = *received;
    return SH_OK;
}

enum sh_cause sh_registry_get_received(struct sh_registry *registry, const uint8_t item_id[16],
                                       struct sh_received *ret_received)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry, RECEIVED "item_id = ?", &stmt));
    sh_db_bind_blob(stmt, 1, item_id, 16);
    return read_received(registry, stmt, ret_received);
}

enum sh_cause sh_registry_find_received(struct sh_registry *registry,
                                        const uint8_t anchor_id[SH_DEVICE_ID_SIZE],
                                        const char *path, uint64_t size, int64_t mtime_ns,
                                        struct sh_received *ret_received)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(
        registry, RECEIVED "path = ? AND size = ? AND mtime_ns = ? AND anchor_id = ? LIMIT 1",
        &stmt));
    bind_path(stmt, 1, path);
    sh_db_bind_int(stmt, 2, (int64_t)size);
    sh_db_bind_int(stmt, 3, mtime_ns);
    sh_db_bind_blob(stmt, 4, anchor_id, SH_DEVICE_ID_SIZE);
    return read_received(registry, stmt, ret_received);
}

enum sh_cause sh_registry_settle_received(struct sh_registry *registry,
                                          const struct sh_received *received)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry, "DELETE FROM received WHERE path = ? AND item_id <> ?", &stmt));
    bind_path(stmt, 1, received->path);
    sh_db_bind_blob(stmt, 2, received->item_id, sizeof(received->item_id));
    return sh_db_run(registry, stmt);
}

/* ---- receipts ---- */

enum sh_cause sh_registry_put_receipt(struct sh_registry *registry,
                                      const struct sh_receipt *receipt)
{
    if (receipt->roots.n % ROOT_SIZE != 0 || receipt->roots.n > RECEIPT_ITEMS * ROOT_SIZE ||
        receipt->signature.n > SIGNATURE_MAX)
        return sh_fail(SH_INTERNAL_BUG, "a receipt that cannot be kept");
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "INSERT OR REPLACE INTO receipts"
                         " (transfer_id, device_id, time, roots, signature) VALUES (?,?,?,?,?)",
                         &stmt));
    sh_db_bind_blob(stmt, 1, receipt->transfer_id, sizeof(receipt->transfer_id));
    sh_db_bind_blob(stmt, 2, receipt->device_id, sizeof(receipt->device_id));
    sh_db_bind_int(stmt, 3, receipt->time);
    sh_db_bind_blob(stmt, 4, receipt->roots.p, receipt->roots.n);
    sh_db_bind_blob(stmt, 5, receipt->signature.p, receipt->signature.n);
    return sh_db_run(registry, stmt);
}

enum sh_cause sh_registry_count_receipts(struct sh_registry *registry,
                                         const uint8_t device_id[SH_DEVICE_ID_SIZE],
                                         uint64_t *ret_count)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    bool row = false;
    SH_TRY(sh_db_prepare(registry, "SELECT count(*) FROM receipts WHERE device_id = ?", &stmt));
    sh_db_bind_blob(stmt, 1, device_id, SH_DEVICE_ID_SIZE);
    SH_TRY(sh_db_step(registry, stmt, &row));
    *ret_count = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    return SH_OK;
}
