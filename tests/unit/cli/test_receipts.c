/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receipts that come together are kept together: one transaction, told of afterwards, and all of them or none. */
#include "cli/receipts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "pairing/registry_db.h"
#include "unit/proto/check.h"

#define MOST 8

static struct sh_registry *registry;
static struct sh_receipts *book;
static unsigned commits, transfers;
static bool commit_fails;

/* Who hands one in. */
static struct person {
    unsigned told, commits_before; /* commits that had been made by then */
    enum sh_cause cause;
    char detail[128];
} people[MOST];

static int on_commit(void *user SH_UNUSED)
{
    commits += !commit_fails;
    return commit_fails;
}

static int set_up(void **state SH_UNUSED)
{
    memset(people, 0, sizeof(people));
    commits = 0;
    commit_fails = false;
    assert_ok(sh_registry_open(NULL, &registry));
    sqlite3_commit_hook(registry->db, on_commit, NULL);
    assert_ok(sh_receipts_new(registry, &book));
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    sh_receipts_free(book);
    sh_registry_close(registry);
    return 0;
}

static void on_kept(enum sh_cause cause, void *user)
{
    struct person *person = user;
    person->told++;
    person->commits_before = commits;
    person->cause = cause;
    assert_true(sh_strcopy(person->detail, sizeof(person->detail), sh_detail()));
    sh_detail_clear(); /* as whoever goes on may */
}

/* Its octets are another's when it is kept. */
static void add(unsigned n, size_t roots)
{
    uint8_t all[3 * 32] = {(uint8_t)n}, signature[70] = {(uint8_t)n, 1};
    struct sh_receipt receipt = {.transfer_id = {(uint8_t)n, (uint8_t)++transfers},
                                 .device_id = {(uint8_t)n},
                                 .time = 1000 + n,
                                 .roots = SH_BYTES(all, roots),
                                 .signature = SH_BYTES(signature, sizeof(signature))};
    assert_ok(sh_receipts_add(book, &receipt, on_kept, &people[n]));
    memset(all, 0xee, sizeof(all));
    memset(signature, 0xee, sizeof(signature));
}

static unsigned kept(unsigned n)
{
    uint8_t id[SH_DEVICE_ID_SIZE] = {(uint8_t)n};
    uint64_t count = 99;
    assert_ok(sh_registry_count_receipts(registry, id, &count));
    return (unsigned)count;
}

static void together(void **state SH_UNUSED)
{
    for (unsigned n = 0; n < 5; n++)
        add(n, 64);
    assert_true(sh_receipts_waits(book));
    assert_int_equal(commits, 0);
    for (unsigned n = 0; n < 5; n++)
        assert_int_equal(people[n].told + kept(n), 0);
    sh_receipts_commit(book);
    assert_int_equal(commits, 1);
    assert_false(sh_receipts_waits(book));
    for (unsigned n = 0; n < 5; n++) {
        assert_int_equal(people[n].told, 1);
        assert_int_equal(people[n].commits_before, 1);
        assert_int_equal(people[n].cause, SH_OK);
        assert_int_equal(kept(n), 1);
    }
    /* With nothing to keep the disk is left alone. */
    sh_receipts_commit(book);
    assert_int_equal(commits, 1);
    /* The next turn is another one. */
    add(5, 32);
    sh_receipts_commit(book);
    assert_int_equal(commits, 2);
    assert_int_equal(people[0].told, 1);
    assert_int_equal(people[5].told, 1);
}

/* What stands in the registry is what was handed in. */
static void as_they_came(void **state SH_UNUSED)
{
    sqlite3_stmt *stmt = NULL;
    add(3, 64);
    sh_receipts_commit(book);
    assert_ok(
        sh_db_prepare(registry, "SELECT transfer_id, time, roots, signature FROM receipts", &stmt));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(*(const uint8_t *)sqlite3_column_blob(stmt, 0), 3);
    assert_int_equal(sqlite3_column_int64(stmt, 1), 1003);
    const uint8_t roots[64] = {3}, signature[70] = {3, 1};
    assert_int_equal(sqlite3_column_bytes(stmt, 2), sizeof(roots));
    assert_memory_equal(sqlite3_column_blob(stmt, 2), roots, sizeof(roots));
    assert_int_equal(sqlite3_column_bytes(stmt, 3), sizeof(signature));
    assert_memory_equal(sqlite3_column_blob(stmt, 3), signature, sizeof(signature));
    sqlite3_finalize(stmt);
}

/* However little the disk may be trusted: a receipt that is told of survives a power cut. */
static void durable(void **state SH_UNUSED)
{
    sqlite3_stmt *stmt = NULL;
    assert_ok(sh_db_prepare(registry, "PRAGMA synchronous", &stmt));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 2);
    sqlite3_finalize(stmt);
}

static void all_fail(enum sh_cause cause, const char *detail)
{
    for (unsigned n = 0; n < 3; n++)
        add(n, 32);
    sh_receipts_commit(book);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(people[n].told, 1);
        assert_int_equal(people[n].cause, cause);
        assert_non_null(strstr(people[n].detail, detail));
        assert_int_equal(kept(n), 0);
    }
    assert_false(sh_receipts_waits(book));
    /* Nothing of it stands in the way of what comes later. */
    commit_fails = false;
    assert_ok(sh_db_exec(registry, "PRAGMA query_only = 0"));
    add(4, 32);
    sh_receipts_commit(book);
    assert_int_equal(people[4].told, 1);
    assert_int_equal(people[4].cause, SH_OK);
    assert_int_equal(kept(4), 1);
}

static void read_only(void **state SH_UNUSED)
{
    assert_ok(sh_db_exec(registry, "PRAGMA query_only = 1"));
    all_fail(SH_STORE_READ_ONLY, "readonly");
}

/* No page more than the tables have: the disk is full. */
static void full(void **state SH_UNUSED)
{
    assert_ok(sh_db_exec(registry, "PRAGMA max_page_count = 1"));
    for (unsigned turn = 0; turn < 100 && people[7].cause == SH_OK; turn++) {
        add(7, 96);
        add(6, 96);
        sh_receipts_commit(book);
    }
    assert_int_equal(people[7].cause, SH_STORE_NO_SPACE);
    assert_int_equal(people[6].cause, SH_STORE_NO_SPACE);
    assert_int_equal(kept(6), kept(7)); /* no half of a turn */
}

static void commit_refused(void **state SH_UNUSED)
{
    commit_fails = true;
    all_fail(SH_ENV_REGISTRY, "constraint");
}

/* A session that is gone is not told; its receipt is evidence all the same. */
static void forgotten(void **state SH_UNUSED)
{
    for (unsigned n = 0; n < 3; n++)
        add(n, 32);
    sh_receipts_forget(book, &people[1]);
    sh_receipts_commit(book);
    assert_int_equal(people[0].told, 1);
    assert_int_equal(people[1].told, 0);
    assert_int_equal(people[2].told, 1);
    assert_int_equal(kept(1), 1);
}

/* The first that is told takes the last away, and hands in another one. */
static void take_away(enum sh_cause cause, void *user)
{
    on_kept(cause, user);
    sh_receipts_forget(book, &people[2]);
    add(4, 32);
}

static void forgotten_while_told(void **state SH_UNUSED)
{
    uint8_t root[32] = {0};
    const struct sh_receipt receipt = {.roots = SH_BYTES(root, 32), .signature = SH_BYTES(root, 8)};
    assert_ok(sh_receipts_add(book, &receipt, take_away, &people[0]));
    add(1, 32);
    add(2, 32);
    sh_receipts_commit(book);
    assert_int_equal(people[0].told, 1);
    assert_int_equal(people[1].told, 1);
    assert_int_equal(people[2].told, 0);
    assert_int_equal(people[4].told, 0);
    assert_true(sh_receipts_waits(book));
    sh_receipts_commit(book);
    assert_int_equal(people[4].told, 1);
    assert_int_equal(commits, 2);
}

/* The book ends before they are kept. */
static void never_kept(void **state SH_UNUSED)
{
    add(0, 32);
    add(1, 32);
    sh_receipts_free(book);
    book = NULL;
    assert_int_equal(people[0].told + people[1].told, 0);
    assert_int_equal(kept(0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(together),   TEST(as_they_came),   TEST(durable),   TEST(read_only),
        TEST(full),       TEST(commit_refused), TEST(forgotten), TEST(forgotten_while_told),
        TEST(never_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
