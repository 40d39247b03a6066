/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pairing/registry_db.h"
#include "proto/log.h"

#define WAL_WAIT_NS  10000000
#define WAL_TRIES    (SH_REGISTRY_BUSY_MS * 1000000 / WAL_WAIT_NS)
#define FILE_NAME    "registry.db"
#define PATH_MAX_LEN 480  /* SQLite's own limit, less the suffixes of its files */
#define WAL_PAGES    "50" /* 200 KiB: what opening reads, at most */

/* ---- SQLite's results ---- */

enum sh_cause sh_db_cause(struct sh_registry *registry, int result)
{
    const char *what = registry->db ? sqlite3_errmsg(registry->db) : sqlite3_errstr(result);
    enum sh_cause cause = SH_ENV_REGISTRY;
    switch (result & 0xff) {
    case SQLITE_FULL:
        cause = SH_STORE_NO_SPACE;
        break;
    case SQLITE_READONLY:
        cause = SH_STORE_READ_ONLY;
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        cause = SH_ENV_PERMISSION;
        break;
    case SQLITE_NOMEM:
        cause = SH_ENV_NO_MEMORY;
        break;
    default:
        break;
    }
    /* The shared memory of WAL is a file too; SQLite reports that the disk is full there as an I/O
     * error. */
    if (result == SQLITE_IOERR_SHMSIZE)
        cause = SH_STORE_NO_SPACE;
    return sh_fail(cause, "%s: %s", registry->path, what);
}

enum sh_cause sh_db_damaged(struct sh_registry *registry, const char *table)
{
    return sh_fail(SH_ENV_REGISTRY, "%s: a row of %s cannot be read", registry->path, table);
}

enum sh_cause sh_db_exec(struct sh_registry *registry, const char *sql)
{
    int result = sqlite3_exec(registry->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? SH_OK : sh_db_cause(registry, result);
}

enum sh_cause sh_db_prepare(struct sh_registry *registry, const char *sql, sqlite3_stmt **ret_stmt)
{
    int result = sqlite3_prepare_v2(registry->db, sql, -1, ret_stmt, NULL);
    return result == SQLITE_OK ? SH_OK : sh_db_cause(registry, result);
}

void sh_db_finalizep(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
    *stmt = NULL;
}

void sh_db_resetp(sqlite3_stmt **stmt)
{
    sqlite3_reset(*stmt); /* what it failed with was told by its step */
    sqlite3_clear_bindings(*stmt);
}

enum sh_cause sh_db_step(struct sh_registry *registry, sqlite3_stmt *stmt, bool *ret_row)
{
    int result = sqlite3_step(stmt);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return sh_db_cause(registry, sqlite3_extended_errcode(registry->db));
    *ret_row = result == SQLITE_ROW;
    return SH_OK;
}

enum sh_cause sh_db_run(struct sh_registry *registry, sqlite3_stmt *stmt)
{
    bool row = false;
    return sh_db_step(registry, stmt, &row);
}

enum sh_cause sh_db_begin(struct sh_registry *registry)
{
    return sh_db_exec(registry, "BEGIN IMMEDIATE");
}

enum sh_cause sh_db_end(struct sh_registry *registry, enum sh_cause cause)
{
    if (cause == SH_OK)
        cause = sh_db_exec(registry, "COMMIT");
    /* SQLite rolls back by itself after some failures, a full disk among them. */
    if (cause != SH_OK && !sqlite3_get_autocommit(registry->db))
        sqlite3_exec(registry->db, "ROLLBACK", NULL, NULL, NULL);
    return cause;
}

/* ---- values ---- */

void sh_db_bind_int(sqlite3_stmt *stmt, int at, int64_t value)
{
    sqlite3_bind_int64(stmt, at, value);
}

void sh_db_bind_double(sqlite3_stmt *stmt, int at, double value)
{
    sqlite3_bind_double(stmt, at, value);
}

void sh_db_bind_blob(sqlite3_stmt *stmt, int at, const void *bytes, size_t n)
{
    /* A NULL pointer would bind NULL, not an empty blob. */
    sqlite3_bind_blob64(stmt, at, n > 0 ? bytes : "", n, SQLITE_TRANSIENT);
}

void sh_db_bind_text(sqlite3_stmt *stmt, int at, const char *text, size_t size)
{
    sqlite3_bind_text(stmt, at, text, (int)strnlen(text, size), SQLITE_TRANSIENT);
}

bool sh_db_blob(sqlite3_stmt *stmt, int column, void *out, size_t size, size_t *ret_n)
{
    const void *bytes = sqlite3_column_blob(stmt, column);
    size_t n = (size_t)sqlite3_column_bytes(stmt, column);
    if (n > size)
        return false;
    if (n > 0)
        memcpy(out, bytes, n);
    *ret_n = n;
    return true;
}

bool sh_db_blob_exact(sqlite3_stmt *stmt, int column, void *out, size_t size)
{
    size_t n = 0;
    return (size_t)sqlite3_column_bytes(stmt, column) == size &&
           sh_db_blob(stmt, column, out, size, &n) && n == size;
}

bool sh_db_text(sqlite3_stmt *stmt, int column, char *out, size_t size)
{
    size_t n = 0;
    if (!sh_db_blob(stmt, column, out, size - 1, &n))
        return false;
    out[n] = '\0';
    return true;
}

/* ---- opening ---- */

static enum sh_cause cause_of_folder(int error, const char *path)
{
    /* Whatever is no matter of space or permission is a folder that cannot be used. */
    enum sh_cause cause = sh_cause_of_errno(error, path);
    return cause == SH_STORE_IO_ERROR || cause == SH_STORE_TARGET_EXISTS
               ? sh_fail(SH_ENV_REGISTRY, "%s: %s", path, strerror(error))
               : cause;
}

/* Makes the folder and those above it, 0700, where they are missing. */
static enum sh_cause make_folder(const char *folder)
{
    sh_autofree char *path = strdup(folder);
    if (!path)
        return SH_ENV_NO_MEMORY;
    for (char *p = path + (path[0] == '/');; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char kept = *p;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            int error = errno;
            struct stat st;
            /* On a read-only file system what is there already is told apart by a look only. */
            if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
                return cause_of_folder(error, path);
        }
        *p = kept;
        if (kept == '\0')
            break;
    }
    struct stat st;
    if (stat(folder, &st) != 0)
        return cause_of_folder(errno, folder);
    return S_ISDIR(st.st_mode) ? SH_OK : cause_of_folder(ENOTDIR, folder);
}

/* An empty file of mode 0600 is an empty database, and SQLite gives its other files the same mode.
 * mknod, since a descriptor closed here would drop the locks that another connection of this
 * process holds. */
static enum sh_cause make_file(const char *path)
{
    if (mknod(path, S_IFREG | 0600, 0) == 0) {
        if (chmod(path, 0600) != 0)
            return cause_of_folder(errno, path);
        return SH_OK;
    }
    if (errno == EEXIST)
        return SH_OK;
    int error = errno;
    struct stat st;
    return error == EROFS && stat(path, &st) == 0 ? SH_OK : cause_of_folder(error, path);
}

/* Two that open a new file at once may find each other in the way, and SQLite does not call the
 * busy handler where waiting could be a deadlock. Where it does, it would wait its time in each try. */
static enum sh_cause set_wal(struct sh_registry *registry)
{
    int result = SQLITE_BUSY;
    sqlite3_busy_timeout(registry->db, 0);
    for (unsigned i = 0; (result & 0xff) == SQLITE_BUSY && i <= WAL_TRIES; i++) {
        const struct timespec wait = {.tv_nsec = i > 0 ? WAL_WAIT_NS : 0};
        /* waits: some tries of a moment each */
        nanosleep(&wait, NULL);
        result = sqlite3_exec(registry->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    }
    sqlite3_busy_timeout(registry->db, SH_REGISTRY_BUSY_MS);
    return result == SQLITE_OK ? SH_OK : sh_db_cause(registry, result);
}

static enum sh_cause set_up(struct sh_registry *registry)
{
    int version = 0;
    sqlite3_busy_timeout(registry->db, SH_REGISTRY_BUSY_MS);
    sqlite3_extended_result_codes(registry->db, 1);
    /* First of all a look that changes nothing: a newer registry stays as it is. */
    SH_TRY(sh_db_version(registry, &version));
    SH_TRY(set_wal(registry));
    SH_TRY(sh_db_exec(registry, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                                "PRAGMA wal_autocheckpoint = " WAL_PAGES ";"));
    /* Each of a row of short runs would make the log, bring it over and remove it: four waits for the disk more. */
    sqlite3_db_config(registry->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return sh_db_migrate(registry);
}

enum sh_cause sh_registry_open(const char *folder, struct sh_registry **ret_registry)
{
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = calloc(1, sizeof(*registry));
    if (!registry)
        return SH_ENV_NO_MEMORY;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
    if (!folder) {
        registry->path = strdup(":memory:");
    } else {
        if (strlen(folder) > PATH_MAX_LEN)
            return sh_fail(SH_ENV_REGISTRY, "the path of the state folder is longer than %d bytes",
                           PATH_MAX_LEN);
        if (asprintf(&registry->path, "%s/" FILE_NAME, folder) < 0)
            registry->path = NULL;
    }
    if (!registry->path)
        return SH_ENV_NO_MEMORY;
    if (folder) {
        SH_TRY(make_folder(folder));
        SH_TRY(make_file(registry->path));
    }
    int result = sqlite3_open_v2(registry->path, &registry->db, flags, NULL);
    if (result != SQLITE_OK)
        return sh_db_cause(registry, result);
    /* SQLite takes a file that it may not write without a word. */
    if (sqlite3_db_readonly(registry->db, "main") == 1)
        return sh_fail(access(registry->path, W_OK) != 0 && errno == EROFS ? SH_STORE_READ_ONLY
                                                                           : SH_ENV_PERMISSION,
                       "%s: cannot be written", registry->path);
    SH_TRY(set_up(registry));
    *ret_registry = registry;
    registry = NULL;
    return SH_OK;
}

void sh_registry_close(struct sh_registry *registry)
{
    if (!registry)
        return;
    if (sh_registry_settle(registry) != SH_OK)
        sh_log("registry: who was seen last: %s", sh_detail());
    sqlite3_finalize(registry->device_by_id);
    sqlite3_close(registry->db);
    free(registry->path);
    free(registry);
}

void sh_registry_closep(struct sh_registry **registry)
{
    sh_registry_close(*registry);
    *registry = NULL;
}
