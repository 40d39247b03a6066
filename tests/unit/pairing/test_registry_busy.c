/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another process has the registry locked, for ever: whatever is asked of it ends in env.registry, or in what was asked for where that needs
 * no lock, within SH_REGISTRY_BUSY_MS, over a virtual clock; and succeeds when the lock is gone.
 */
#include "registry_folder.h"
#include "unit/virtual_clock.h"

#include <sqlite3.h>
#include <sys/wait.h>

#define LATE_MS 1000

/* ---- who holds the lock ---- */

struct holder {
    pid_t pid;
    int locked, release; /* ends of pipes */
};

static int lock_and_wait(const char *sql, int locked, int release)
{
    char path[128], octet = 0;
    sqlite3 *db = NULL;
    in_folder(path, "registry.db");
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    if (write(locked, "x", 1) != 1)
        return 1;
    return read(release, &octet, 1) == 0 ? 0 : 1;
}

static struct holder hold(const char *sql)
{
    int locked[2], release[2];
    char octet = 0;
    assert_int_equal(pipe(locked), 0);
    assert_int_equal(pipe(release), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(release[1]);
        _exit(lock_and_wait(sql, locked[1], release[0]));
    }
    close(locked[1]);
    close(release[0]);
    assert_int_equal(read(locked[0], &octet, 1), 1);
    return (struct holder){.pid = pid, .locked = locked[0], .release = release[1]};
}

static void let_go(const struct holder *holder)
{
    close(holder->release);
    close(holder->locked);
    assert_int_equal(waitpid(holder->pid, NULL, 0), holder->pid);
}

/* ---- what is asked ---- */

static const uint8_t id[SH_DEVICE_ID_SIZE] = {1};

static enum sh_cause ask_gate(struct sh_registry *registry)
{
    struct sh_gate gate;
    return sh_registry_gate(registry, "boot", 1, &gate);
}

static enum sh_cause ask_charge(struct sh_registry *registry)
{
    return sh_registry_charge(registry, "boot", 1);
}

static enum sh_cause ask_put_device(struct sh_registry *registry)
{
    struct sh_device device = {
        .id = {1}, .relation = SH_DEVICE_IS_ANCHOR, .state = SH_DEVICE_AUTHORISED};
    return sh_registry_put_device(registry, &device);
}

static enum sh_cause ask_get_device(struct sh_registry *registry)
{
    struct sh_device device;
    return sh_registry_get_device(registry, id, SH_DEVICE_IS_ANCHOR, &device);
}

static enum sh_cause ask_seen(struct sh_registry *registry)
{
    sh_registry_seen(registry, id, SH_DEVICE_IS_ANCHOR, 5);
    return sh_registry_settle(registry);
}

static enum sh_cause ask_set_state(struct sh_registry *registry)
{
    return sh_registry_set_state(registry, id, SH_DEVICE_IS_ANCHOR, SH_DEVICE_REVOKED);
}

static enum sh_cause ask_next_revision(struct sh_registry *registry)
{
    uint64_t revision = 0;
    return sh_registry_next_revision(registry, &revision);
}

static enum sh_cause ask_set_last_revision(struct sh_registry *registry)
{
    return sh_registry_set_last_revision(registry, id, SH_DEVICE_IS_ANCHOR, 7);
}

static enum sh_cause ask_put_level(struct sh_registry *registry)
{
    static const struct sh_known_level level = {.adapter = "sim", .dbm = -60, .samples = 3};
    return sh_registry_put_level(registry, &level);
}

static enum sh_cause ask_put_addresses(struct sh_registry *registry)
{
    static const struct sh_addresses addresses = {.port = 1, .list = {{.len = 4}}, .count = 1};
    return sh_registry_put_addresses(registry, &addresses);
}

static enum sh_cause ask_put_received(struct sh_registry *registry)
{
    static const struct sh_received received = {.path = "/a", .size = 1};
    return sh_registry_put_received(registry, &received);
}

static enum sh_cause ask_settle_received(struct sh_registry *registry)
{
    static const struct sh_received received = {.path = "/a", .size = 1};
    return sh_registry_settle_received(registry, &received);
}

static enum sh_cause ask_batch(struct sh_registry *registry)
{
    static const struct sh_transfer transfer = {.name = "file", .dir = "/d", .size = 1};
    SH_TRY(sh_registry_batch_begin(registry));
    return sh_registry_batch_end(registry, sh_registry_put_transfer(registry, &transfer));
}

static enum sh_cause ask_remove_transfer(struct sh_registry *registry)
{
    return sh_registry_remove_transfer(registry, id, "/d");
}

static enum sh_cause ask_put_receipt(struct sh_registry *registry)
{
    const struct sh_receipt receipt = {
        .time = 1, .roots = SH_BYTES(id, 0), .signature = SH_BYTES(id, 1)};
    return sh_registry_put_receipt(registry, &receipt);
}

static const struct {
    const char *name;
    enum sh_cause (*ask)(struct sh_registry *registry);
} questions[] = {
    /* The device that others ask for is put first. */
    {"put_device", ask_put_device},
    {"get_device", ask_get_device},
    {"seen", ask_seen},
    {"set_state", ask_set_state},
    {"gate", ask_gate},
    {"charge", ask_charge},
    {"confirmed", sh_registry_confirmed},
    {"unlock", sh_registry_unlock},
    {"next_revision", ask_next_revision},
    {"set_last_revision", ask_set_last_revision},
    {"put_level", ask_put_level},
    {"put_addresses", ask_put_addresses},
    {"put_received", ask_put_received},
    {"settle_received", ask_settle_received},
    {"batch", ask_batch},
    {"remove_transfer", ask_remove_transfer},
    {"put_receipt", ask_put_receipt},
};

/* ---- the table ---- */

struct text {
    const char *name, *sql;
};

static const struct text reads = {"reads", "BEGIN; SELECT count(*) FROM sqlite_master"};
static const struct text writes = {"writes", "BEGIN IMMEDIATE"};
static const struct text excludes = {"excludes all",
                                     "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"};

static void row(const char *what, const struct text *lock, enum sh_cause cause, sh_ms ms)
{
    printf("%-24s the other %-14s %-14s %6u ms of %d\n", what, lock->name,
           sh_cause_info(cause)->name, (unsigned)ms, SH_REGISTRY_BUSY_MS);
    if ((cause != SH_OK && cause != SH_ENV_REGISTRY) || ms > SH_REGISTRY_BUSY_MS + LATE_MS)
        fail_msg("%s while another %s: %s after %u ms", what, lock->name,
                 sh_cause_info(cause)->name, (unsigned)ms);
}

/* One that is open already. */
static void asked(const struct text *lock)
{
    struct sh_registry *registry = open_it();
    for (size_t i = 0; i < SH_COUNT(questions); i++)
        assert_int_equal(questions[i].ask(registry), SH_OK);
    struct holder holder = hold(lock->sql);
    for (size_t i = 0; i < SH_COUNT(questions); i++) {
        sh_ms from = virtual_now();
        enum sh_cause cause = questions[i].ask(registry);
        row(questions[i].name, lock, cause, virtual_now() - from);
    }
    let_go(&holder);
    for (size_t i = 0; i < SH_COUNT(questions); i++)
        assert_int_equal(questions[i].ask(registry), SH_OK);
    sh_registry_close(registry);
}

static void asked_while_another_writes(void **state SH_UNUSED)
{
    asked(&writes);
}

/* An attempt that cannot be charged is none, and what only reads goes on. */
static void no_attempt_without_its_charge(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    struct sh_gate gate;
    assert_int_equal(ask_put_device(registry), SH_OK);
    struct holder holder = hold(writes.sql);
    assert_int_equal(ask_charge(registry), SH_ENV_REGISTRY);
    assert_non_null(strstr(sh_detail(), "registry.db"));
    assert_int_equal(ask_get_device(registry), SH_OK);
    let_go(&holder);
    assert_int_equal(sh_registry_gate(registry, "boot", 1, &gate), SH_OK);
    assert_int_equal(gate.failures, 0);
    sh_registry_close(registry);
}

/* Opened while it is locked, in each state of the file: not begun, of an older version, as it is now. */
static void opened(const struct text *file, const struct text *lock)
{
    char path[128];
    sqlite3 *db = NULL;
    struct sh_registry *registry = NULL;
    in_folder(path, "registry.db");
    unlink(path);
    if (!file->sql) {
        registry = open_it();
        sh_registry_close(registry);
    } else {
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, file->sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
    }
    struct holder holder = hold(lock->sql);
    sh_ms from = virtual_now();
    registry = NULL;
    enum sh_cause cause = sh_registry_open(folder, &registry);
    row(file->name, lock, cause, virtual_now() - from);
    sh_registry_close(registry);
    let_go(&holder);
    registry = open_it();
    assert_int_equal(ask_charge(registry), SH_OK);
    sh_registry_close(registry);
}

static void opened_while_locked(void **state SH_UNUSED)
{
    static const struct text files[] = {
        {"open", NULL},
        {"open, an empty file", "PRAGMA user_version = 0; VACUUM"},
        {"open, an empty WAL file", "PRAGMA journal_mode = WAL; VACUUM"},
    };
    static const struct text *const locks[] = {&reads, &writes, &excludes};
    for (size_t i = 0; i < SH_COUNT(files); i++) {
        for (size_t k = 0; k < SH_COUNT(locks); k++)
            opened(&files[i], locks[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(asked_while_another_writes),
        IN_FOLDER(no_attempt_without_its_charge),
        IN_FOLDER(opened_while_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
