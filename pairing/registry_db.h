/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the registry share: the connection, and SQLite's results as causes. A statement
 * is prepared with bound values, never with text put together.
 */
#ifndef SIMHOP_PAIRING_REGISTRY_DB_H
#define SIMHOP_PAIRING_REGISTRY_DB_H

#include <sqlite3.h>

#include "pairing/registry.h"

#define SH_SEEN_MAX 64

struct sh_registry {
    sqlite3 *db;
    char *path;                 /* for details; ":memory:" */
    sqlite3_stmt *device_by_id; /* NULL: not asked for yet */
    struct sh_seen {
        uint8_t id[SH_DEVICE_ID_SIZE];
        enum sh_device_relation relation;
        int64_t time;
    } seen[SH_SEEN_MAX]; /* still to be written */
    unsigned seen_count;
};

/* The cause of a result that is not SQLITE_OK, ROW or DONE: FULL store.no-space, READONLY
 * store.read-only, CANTOPEN, PERM and AUTH env.permission, NOMEM env.no-memory, else env.registry.
 * The detail has the path and what SQLite says. */
SH_MUST_USE enum sh_cause sh_db_cause(struct sh_registry *registry, int result);

/* Runs SQL text that needs no values. */
SH_MUST_USE enum sh_cause sh_db_exec(struct sh_registry *registry, const char *sql);

/* Finished with sqlite3_finalize, or by sh_autostmt. */
SH_MUST_USE enum sh_cause sh_db_prepare(struct sh_registry *registry, const char *sql,
                                        sqlite3_stmt **ret_stmt);
void sh_db_finalizep(sqlite3_stmt **stmt);
#define sh_autostmt SH_CLEANUP(sh_db_finalizep)
/* One that is kept for the next time is only done with. */
void sh_db_resetp(sqlite3_stmt **stmt);
#define sh_keptstmt SH_CLEANUP(sh_db_resetp)

/* One step: *ret_row says whether there is a row. */
SH_MUST_USE enum sh_cause sh_db_step(struct sh_registry *registry, sqlite3_stmt *stmt,
                                     bool *ret_row);
/* A statement that gives no rows; with more than a cause, whether it changed one. */
SH_MUST_USE enum sh_cause sh_db_run(struct sh_registry *registry, sqlite3_stmt *stmt);

/* BEGIN IMMEDIATE, so that what is read is still true when it is written; the end commits on SH_OK
 * and rolls back on any other cause, and gives back what went wrong first. */
SH_MUST_USE enum sh_cause sh_db_begin(struct sh_registry *registry);
SH_MUST_USE enum sh_cause sh_db_end(struct sh_registry *registry, enum sh_cause cause);

/* Bound by position. Their results need no look: binding fails only for lack of memory, and then
 * the step does too (with a NULL where the schema wants a value). */
void sh_db_bind_int(sqlite3_stmt *stmt, int at, int64_t value);
void sh_db_bind_double(sqlite3_stmt *stmt, int at, double value); /* NAN is NULL */
void sh_db_bind_blob(sqlite3_stmt *stmt, int at, const void *bytes, size_t n);
void sh_db_bind_text(sqlite3_stmt *stmt, int at, const char *text, size_t size);

/* A column into a buffer. false when it does not fit, or (exact) is not of that size. */
SH_MUST_USE bool sh_db_blob(sqlite3_stmt *stmt, int column, void *out, size_t size, size_t *ret_n);
SH_MUST_USE bool sh_db_blob_exact(sqlite3_stmt *stmt, int column, void *out, size_t size);
SH_MUST_USE bool sh_db_text(sqlite3_stmt *stmt, int column, char *out, size_t size);

/* A row that cannot be ours. */
SH_MUST_USE enum sh_cause sh_db_damaged(struct sh_registry *registry, const char *table);

/* registry_schema.c: brings the schema to the current version. Fails with env.registry-newer. */
SH_MUST_USE enum sh_cause sh_db_migrate(struct sh_registry *registry);
SH_MUST_USE enum sh_cause sh_db_version(struct sh_registry *registry, int *ret_version);

#endif
