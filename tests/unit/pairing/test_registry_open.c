/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening: modes, migration, and files and disks that are not as they should be. */
#include "registry_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "pairing/registry_schema.h"

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static enum sh_cause open_fails(const char *where)
{
    struct sh_registry *registry = NULL;
    enum sh_cause cause = sh_registry_open(where, &registry);
    assert_null(registry);
    return cause;
}

static void modes_whatever_the_umask(void **state SH_UNUSED)
{
    static const mode_t masks[] = {0, 022, 077};
    static const char *const names[] = {"registry.db", "registry.db-wal", "registry.db-shm"};
    for (size_t i = 0; i < SH_COUNT(masks); i++) {
        char top[64];
        char path[128];
        struct sh_registry *registry = NULL;
        assert_int_equal(make_folder(NULL), 0);
        strcpy(top, folder);
        mode_t before = umask(masks[i]);
        snprintf(path, sizeof(path), "%s/a/b", top);
        assert_int_equal(sh_registry_open(path, &registry), SH_OK);
        assert_int_equal(sh_registry_unlock(registry), SH_OK);
        umask(before);
        assert_int_equal(mode_of(path), 0700);
        strcpy(folder, path);
        for (size_t n = 0; n < SH_COUNT(names); n++) {
            in_folder(path, names[n]);
            assert_int_equal(mode_of(path), 0600);
        }
        sh_registry_close(registry);
        assert_int_equal(remove_folder(NULL), 0);
        snprintf(path, sizeof(path), "%s/a", top);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(top), 0);
    }
}

static int pragma(struct sh_registry *registry, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(registry->db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int value = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0
                    ? 1000
                    : sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static void durable_settings(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    assert_int_equal(pragma(registry, "PRAGMA journal_mode"), 1000);
    assert_int_equal(pragma(registry, "PRAGMA synchronous"), 2);
    assert_int_equal(pragma(registry, "PRAGMA foreign_keys"), 1);
    assert_int_equal(pragma(registry, "PRAGMA busy_timeout"), 2000);
    assert_int_equal(pragma(registry, "PRAGMA user_version"), SH_REGISTRY_VERSION);
    sh_registry_close(registry);
    sh_registry_close(NULL);
}

static unsigned count_devices(struct sh_registry *registry)
{
    sh_autofree struct sh_device *devices = NULL;
    size_t count = 0;
    assert_int_equal(sh_registry_list_devices(registry, 1000, &devices, &count), SH_OK);
    return (unsigned)count;
}

static void put_device(struct sh_registry *registry, int64_t seen)
{
    struct sh_device device = {.relation = SH_DEVICE_IS_SECONDARY,
                               .name = "tablet",
                               .state = SH_DEVICE_AUTHORISED,
                               .last_seen = seen};
    assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
}

/* What one run leaves is there in the next one; a registry that is moved away takes nothing of its log along into the new one. */
static void moved_away(void **state SH_UNUSED)
{
    char path[128], away[128];
    in_folder(path, "registry.db");
    in_folder(away, "registry.db-wal-away");
    struct sh_registry *registry = open_it();
    put_device(registry, 1);
    sh_registry_close(registry);
    registry = open_it();
    assert_int_equal(count_devices(registry), 1);
    sh_registry_close(registry);
    assert_int_equal(rename(path, away), 0);
    registry = open_it();
    assert_int_equal(count_devices(registry), 0);
    sh_registry_close(registry);
    assert_int_equal(unlink(away), 0);
}

/* However many runs there are, the next one has little to read. */
static void short_log(void **state SH_UNUSED)
{
    enum { RUNS = 50, PUTS = 10, MOST = 1 << 20 };
    char log[128];
    struct stat st;
    in_folder(log, "registry.db-wal");
    for (int i = 0; i < RUNS; i++) {
        struct sh_registry *registry = open_it();
        for (int n = 0; n < PUTS; n++)
            put_device(registry, n);
        sh_registry_close(registry);
        if (stat(log, &st) == 0)
            assert_in_range(st.st_size, 0, MOST);
    }
}

/* Runs SQL on the file behind the registry's back. */
static void behind(const char *sql)
{
    char path[128];
    sqlite3 *db = NULL;
    in_folder(path, "registry.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void migrates_v1(void **state SH_UNUSED)
{
    behind(sh_registry_steps[0]);
    behind("PRAGMA user_version = 1;"
           "INSERT INTO devices VALUES (x'000102030405060708090a0b0c0d0e0f', 1, 'Old phone', 1,"
           " '', 2, 10, 20, zeroblob(16), 30, 4, 5, x'aabb', x'cc', x'dd', zeroblob(16));"
           "UPDATE attempts SET failures = 2; UPDATE revision SET last = 41;");
    struct sh_registry *registry = open_it();
    struct sh_device device;
    static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint64_t revision = 0;
    struct sh_gate gate;
    assert_int_equal(pragma(registry, "PRAGMA user_version"), SH_REGISTRY_VERSION);
    assert_int_equal(sh_registry_get_device(registry, id, SH_DEVICE_IS_ANCHOR, &device), SH_OK);
    assert_string_equal(device.name, "Old phone");
    assert_int_equal(device.state, SH_DEVICE_AUTHORISED);
    assert_int_equal(device.public_key_len, 2);
    assert_true(isnan(device.metres));
    assert_int_equal(device.proximity_samples, 0);
    assert_true(isnan(device.score_db) && isnan(device.spread_db) && isnan(device.rate_hz));
    assert_int_equal(sh_registry_gate(registry, "b", 1, &gate), SH_OK);
    assert_int_equal(gate.failures, 2);
    assert_int_equal(sh_registry_next_revision(registry, &revision), SH_OK);
    assert_int_equal(revision, 42);
    device.metres = 0.75;
    device.proximity_samples = 9;
    assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
    sh_registry_close(registry);
    registry = open_it();
    assert_int_equal(sh_registry_get_device(registry, id, SH_DEVICE_IS_ANCHOR, &device), SH_OK);
    assert_true(fabs(device.metres - 0.75) < 1e-9);
    sh_registry_close(registry);
}

/* A step that fails leaves the old version whole. */
static void migration_is_all_or_nothing(void **state SH_UNUSED)
{
    behind(sh_registry_steps[0]);
    behind("PRAGMA user_version = 1; ALTER TABLE devices ADD COLUMN proximity_samples INTEGER");
    assert_int_equal(open_fails(folder), SH_ENV_REGISTRY);
    char path[128];
    sqlite3 *db = NULL;
    in_folder(path, "registry.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT metres FROM devices", NULL, NULL, NULL),
                     SQLITE_ERROR);
    sqlite3_close(db);
}

/* Of the version before this one nothing is lost, and what was not kept then is unknown. */
static void migrates_v2(void **state SH_UNUSED)
{
    behind(sh_registry_steps[0]);
    behind(sh_registry_steps[1]);
    behind(
        "PRAGMA user_version = 2;"
        "INSERT INTO devices VALUES (x'000102030405060708090a0b0c0d0e0f', 1, 'Phone', 1,"
        " '', 2, 10, 20, zeroblob(16), 30, 4, 5, x'aabb', x'cc', x'dd', zeroblob(16), 0.5, 90);");
    struct sh_registry *registry = open_it();
    struct sh_device device;
    struct sh_known_level level;
    static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    assert_int_equal(pragma(registry, "PRAGMA user_version"), SH_REGISTRY_VERSION);
    assert_int_equal(sh_registry_get_device(registry, id, SH_DEVICE_IS_ANCHOR, &device), SH_OK);
    assert_true(fabs(device.metres - 0.5) < 1e-9);
    assert_int_equal(device.proximity_samples, 90);
    assert_true(isnan(device.score_db));
    assert_int_equal(sh_registry_get_level(registry, id, NULL, &level), SH_LINKED_UNKNOWN);
    sh_registry_close(registry);
}

/* The list of begun transfers is new; all else stays. */
static void migrates_v3(void **state SH_UNUSED)
{
    static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static struct sh_transfer put, *list;
    struct sh_known_level level;
    size_t count = 9;
    for (unsigned i = 0; i < 3; i++)
        behind(sh_registry_steps[i]);
    behind("PRAGMA user_version = 3;"
           "INSERT INTO levels VALUES (x'000102030405060708090a0b0c0d0e0f', 'sim', -60.0, 2.0, 300,"
           " 40, 1000);");
    struct sh_registry *registry = open_it();
    assert_int_equal(pragma(registry, "PRAGMA user_version"), SH_REGISTRY_VERSION);
    assert_int_equal(sh_registry_get_level(registry, id, "sim", &level), SH_OK);
    assert_int_equal(level.samples, 300);
    assert_int_equal(sh_registry_list_transfers(registry, &list, &count), SH_OK);
    assert_int_equal(count, 0);
    free(list);
    strcpy(put.name, "file");
    strcpy(put.dir, "/home/somebody");
    assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
    sh_registry_close(registry);
    registry = open_it();
    assert_int_equal(sh_registry_list_transfers(registry, &list, &count), SH_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].dir, "/home/somebody");
    free(list);
    sh_registry_close(registry);
}

/* Of what came before nobody knows from whom: it is had, and nobody may replace it. */
static void migrates_v4(void **state SH_UNUSED)
{
    static const uint8_t item[16] = {9}, nobody[16];
    static struct sh_received got;
    for (unsigned i = 0; i < 4; i++)
        behind(sh_registry_steps[i]);
    behind("PRAGMA user_version = 4;"
           "INSERT INTO received VALUES (x'09000000000000000000000000000000', zeroblob(32), "
           "zeroblob(32), 5,"
           " 50, CAST('/a' AS BLOB));");
    struct sh_registry *registry = open_it();
    assert_int_equal(pragma(registry, "PRAGMA user_version"), SH_REGISTRY_VERSION);
    assert_int_equal(sh_registry_get_received(registry, item, &got), SH_OK);
    assert_int_equal(got.size, 5);
    assert_memory_equal(got.anchor_id, nobody, sizeof(nobody));
    assert_int_equal(sh_registry_find_received(registry, nobody, "/a", 5, 50, &got),
                     SH_LINKED_UNKNOWN);
    sh_registry_close(registry);
}

static void newer_is_refused(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    sh_registry_close(registry);
    behind("PRAGMA user_version = 1000");
    assert_int_equal(open_fails(folder), SH_ENV_REGISTRY_NEWER);
    assert_non_null(strstr(sh_detail(), "registry.db"));
    behind("PRAGMA user_version = -1");
    assert_int_equal(open_fails(folder), SH_ENV_REGISTRY);
}

static void write_file(const char *path, const void *bytes, size_t n, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

static void corrupt_file(void **state SH_UNUSED)
{
    char path[128];
    static uint8_t junk[20000];
    memset(junk, 0x5a, sizeof(junk));
    in_folder(path, "registry.db");
    write_file(path, junk, sizeof(junk), 0);
    assert_int_equal(open_fails(folder), SH_ENV_REGISTRY);
    assert_non_null(strstr(sh_detail(), path));
    unlink(path);
    /* A right header, the rest junk. */
    struct sh_registry *registry = open_it();
    sh_registry_close(registry);
    behind("PRAGMA wal_checkpoint(TRUNCATE)"); /* else all of it stands in the log once more */
    write_file(path, junk, sizeof(junk), 100);
    assert_int_equal(open_fails(folder), SH_ENV_REGISTRY);
    /* No tables in it, though the version says so. */
    unlink(path);
    behind("PRAGMA user_version = 6");
    struct sh_gate gate;
    registry = open_it();
    assert_int_equal(sh_registry_gate(registry, "b", 1, &gate), SH_ENV_REGISTRY);
    assert_int_equal(sh_registry_charge(registry, "b", 1), SH_ENV_REGISTRY);
    sh_registry_close(registry);
}

static void odd_folders(void **state SH_UNUSED)
{
    char path[128];
    char long_path[600];
    in_folder(path, "registry.db");
    write_file(path, "", 0, 0);
    /* A file where the folder, or one above it, should be. */
    assert_int_equal(open_fails(path), SH_ENV_REGISTRY);
    strcat(path, "/state");
    assert_int_equal(open_fails(path), SH_ENV_REGISTRY);
    assert_int_equal(open_fails(""), SH_ENV_REGISTRY);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(open_fails(long_path), SH_ENV_REGISTRY);
    /* A folder where the file should be. */
    in_folder(path, "registry.db");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_fails(folder), SH_ENV_PERMISSION);
    assert_int_equal(rmdir(path), 0);
}

/* A tmpfs of that size on the folder; false, with the reason printed, where it may not be mounted. */
static bool mount_small(unsigned long flags, const char *options)
{
    if (mount("simhop-test", folder, "tmpfs", flags, options) == 0)
        return true;
    print_message("[  SKIP  ] no tmpfs may be mounted here: %s\n", strerror(errno));
    return false;
}

static int unmount_and_remove(void **state)
{
    umount2(folder, MNT_DETACH); /* after a failed test it may still be there */
    return remove_folder(state);
}

static void full_disk(void **state SH_UNUSED)
{
    if (!mount_small(0, "size=256k"))
        skip();
    struct sh_registry *registry = open_it();
    static struct sh_device device;
    device.relation = SH_DEVICE_IS_ANCHOR;
    device.state = SH_DEVICE_AUTHORISED;
    device.token_len = sizeof(device.token);
    enum sh_cause cause = SH_OK;
    unsigned kept = 0;
    for (unsigned i = 0; i < 1000 && cause == SH_OK; i++) {
        device.id[0] = (uint8_t)i;
        device.id[1] = (uint8_t)(i >> 8);
        cause = sh_registry_put_device(registry, &device);
        kept += cause == SH_OK;
    }
    assert_int_equal(cause, SH_STORE_NO_SPACE);
    /* No attempt goes uncharged for lack of space. */
    for (unsigned charged = 1; charged <= 3; charged++) {
        struct sh_gate gate;
        enum sh_cause charge = sh_registry_charge(registry, "b", 1);
        if (charge != SH_OK) {
            assert_int_equal(charge, SH_STORE_NO_SPACE);
            break;
        }
        assert_int_equal(sh_registry_gate(registry, "b", 1, &gate), SH_OK);
        assert_int_equal(gate.failures, charged);
    }
    /* What was kept is still there. */
    struct sh_device *list = NULL;
    size_t count = 0;
    assert_int_equal(sh_registry_list_devices(registry, 0, &list, &count), SH_OK);
    assert_int_equal(count, kept);
    free(list);
    sh_registry_close(registry);
    umount(folder);
    /* Too full from the start. */
    assert_true(mount_small(0, "size=4k"));
    assert_int_equal(open_fails(folder), SH_STORE_NO_SPACE);
    umount(folder);
}

static void read_only_disk(void **state SH_UNUSED)
{
    if (!mount_small(0, "size=1m"))
        skip();
    struct sh_registry *registry = open_it();
    sh_registry_close(registry);
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(open_fails(folder), SH_STORE_READ_ONLY);
    char path[128];
    in_folder(path, "deeper");
    assert_int_equal(open_fails(path), SH_STORE_READ_ONLY);
    umount(folder);
    assert_true(mount_small(MS_RDONLY, "size=1m"));
    assert_int_equal(open_fails(folder), SH_STORE_READ_ONLY);
    umount(folder);
}

static void no_permission(void **state SH_UNUSED)
{
    if (geteuid() != 0) {
        assert_int_equal(chmod(folder, 0500), 0);
        assert_int_equal(open_fails(folder), SH_ENV_PERMISSION);
        assert_int_equal(chmod(folder, 0700), 0);
        return;
    }
    /* Root may write everywhere, so be nobody for a while. */
    assert_int_equal(seteuid(65534), 0);
    enum sh_cause cause = open_fails(folder);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(cause, SH_ENV_PERMISSION);
    /* A file that may be read but not written. */
    struct sh_registry *registry = open_it();
    sh_registry_close(registry);
    char path[128];
    in_folder(path, "registry.db");
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(seteuid(65534), 0);
    cause = open_fails(folder);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(cause, SH_ENV_PERMISSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_whatever_the_umask),
        IN_FOLDER(durable_settings),
        IN_FOLDER(moved_away),
        IN_FOLDER(short_log),
        IN_FOLDER(migrates_v1),
        IN_FOLDER(migrates_v2),
        IN_FOLDER(migrates_v3),
        IN_FOLDER(migrates_v4),
        IN_FOLDER(migration_is_all_or_nothing),
        IN_FOLDER(newer_is_refused),
        IN_FOLDER(corrupt_file),
        IN_FOLDER(odd_folders),
        cmocka_unit_test_setup_teardown(full_disk, make_folder, unmount_and_remove),
        cmocka_unit_test_setup_teardown(read_only_disk, make_folder, unmount_and_remove),
        IN_FOLDER(no_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
