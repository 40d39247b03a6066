/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is synced and when, with a disk that obeys the test: how far a power cut is believed, a disk that hangs, one that fails. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/transfer/store_folder.h"

#define SIZE (20 * (size_t)SH_LEAF_SIZE)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs;
static int fails_with;
static unsigned begun, ended;

/* Stands before the library's. */
int fdatasync(int fd SH_UNUSED)
{
    pthread_mutex_lock(&lock);
    begun++;
    pthread_cond_broadcast(&changed);
    while (hangs)
        pthread_cond_wait(&changed, &lock);
    int error = fails_with;
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    errno = error;
    return error == 0 ? 0 : -1;
}

static void disk_is(bool hanging, int failing)
{
    pthread_mutex_lock(&lock);
    hangs = hanging;
    fails_with = failing;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await_counter(const unsigned *counter, unsigned value)
{
    pthread_mutex_lock(&lock);
    while (*counter < value)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static int begin_test(void **state)
{
    disk_is(false, 0);
    begun = ended = 0;
    return set_up(state);
}

static struct sh_store *open_background(void)
{
    struct sh_store *store = open_store();
    assert_ok(sh_store_in_background(store));
    return store;
}

/* Marks until the thread's result is taken. */
static enum sh_cause mark_again(struct sh_store_item *item, sh_ms now, unsigned syncs)
{
    await_counter(&ended, syncs);
    enum sh_cause cause = SH_OK;
    for (unsigned i = 0; i < 1000 && cause == SH_OK; i++) {
        cause =
            sh_store_item_mark(item, now); /* the thread may need a moment after its last sync */
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return cause;
}

static uint64_t mark_on_disk(void)
{
    uint8_t octets[8];
    uint64_t value = 0;
    int fd = open(leaves, O_RDONLY);
    assert_int_equal(pread(fd, octets, sizeof(octets), 40), sizeof(octets));
    close(fd);
    for (unsigned i = 0; i < sizeof(octets); i++)
        value = value << 8 | octets[i];
    return value;
}

/* Leaves 0 .. 9 are marked, 10 .. 14 are written after it. */
static uint8_t *begin_marked(void)
{
    uint8_t *bytes = content(3, SIZE);
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, SIZE);
    fill(item, bytes, SIZE, 10);
    assert_ok(sh_store_item_mark(item, 1000));
    assert_ok(sh_store_item_mark(item, 1000 + SH_STORE_MARK_MS - 1));
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* a sync would have begun by now */
    assert_int_equal(begun, 0);
    assert_ok(sh_store_item_mark(item, 1000 + SH_STORE_MARK_MS));
    assert_ok(mark_again(item, 3500, 2)); /* data and journal */
    assert_int_equal(mark_on_disk(), 10);
    fill(item, bytes, SIZE, 5);
    sh_store_item_close(item);
    sh_store_close(store);
    assert_int_equal(mark_on_disk(), 10);
    return bytes;
}

static void bend(uint64_t leaf)
{
    write_at(part, leaf * SH_LEAF_SIZE + 100, "damage", 6);
}

static void finish_with(const uint8_t *bytes, unsigned missing, unsigned bent)
{
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    enum sh_store_state state = SH_STORE_MORE;
    assert_int_equal(fill(item, bytes, SIZE, UINT32_MAX), missing);
    for (unsigned i = 0; i < bent; i++) {
        for (state = SH_STORE_MORE; state == SH_STORE_MORE;)
            assert_ok(sh_store_item_work(item, 3, &state));
        assert_int_equal(state, SH_STORE_LACKS);
        assert_int_equal(fill(item, bytes, SIZE, UINT32_MAX), 1);
    }
    finish(item, bytes, SIZE);
    sh_store_item_close(item);
    sh_store_close(store);
}

/* After a power cut: what lies behind the mark is looked at before it is trusted, what lies before it is not read for that. */
static void test_power_cut(void **state SH_UNUSED)
{
    static const struct {
        int bent; /* a leaf, or -1 */
        unsigned missing, later;
    } table[] = {{-1, 5, 0}, {4, 5, 1}, {9, 5, 1}, {10, 6, 0}, {14, 6, 0}};
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        begun = ended = 0;
        uint8_t *bytes = begin_marked();
        /* The sum covers the boot's id, so this one is of a journal that another boot wrote whole. */
        uint8_t header[48], digest[32];
        int fd = open(leaves, O_RDWR);
        assert_int_equal(pread(fd, header, sizeof(header), 0), sizeof(header));
        memcpy(header + 24, "another boot id.", 16);
        assert_ok(sh_sha256(&SH_BYTES(header, sizeof(header)), 1, digest));
        assert_int_equal(pwrite(fd, header, sizeof(header), 0), sizeof(header));
        assert_int_equal(pwrite(fd, digest, 16, 48), 16);
        close(fd);
        if (table[i].bent >= 0)
            bend((uint64_t)table[i].bent);
        finish_with(bytes, table[i].missing, table[i].later);
        assert_int_equal(unlink(target), 0);
        free(bytes);
    }
}

/* A mark that was half written is none: everything is looked at. */
static void test_torn_mark(void **state SH_UNUSED)
{
    uint8_t *bytes = begin_marked();
    write_at(leaves, 24, "another boot id.", 16);
    bend(4);
    finish_with(bytes, 6, 0);
    free(bytes);
}

/* Octets that bend while the machine runs on are found before the file appears. */
static void test_bent(void **state SH_UNUSED)
{
    uint8_t *bytes = begin_marked();
    bend(4);
    bend(12);
    finish_with(bytes, 5, 2);
    free(bytes);
}

/* A leaf that was marked and is fetched again is not marked any more. */
static void test_mark_goes_back(void **state SH_UNUSED)
{
    uint8_t *bytes = begin_marked();
    bend(4);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    enum sh_store_state found = SH_STORE_MORE;
    fill(item, bytes, SIZE, UINT32_MAX);
    while (found == SH_STORE_MORE)
        assert_ok(sh_store_item_work(item, 3, &found));
    assert_int_equal(found, SH_STORE_LACKS);
    assert_int_equal(mark_on_disk(), 4);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

static void test_hanging_disk(void **state SH_UNUSED)
{
    uint8_t *bytes = content(1, SIZE);
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, SIZE);
    enum sh_store_state found = SH_STORE_MORE;
    disk_is(true, 0);
    fill(item, bytes, SIZE, UINT32_MAX);
    assert_ok(sh_store_item_work(item, UINT32_MAX, &found));
    assert_int_equal(found, SH_STORE_WAITS);
    await_counter(&begun, 1);
    assert_ok(sh_store_item_work(item, UINT32_MAX, &found));
    assert_int_equal(found, SH_STORE_WAITS);
    sh_store_item_close(item);
    sh_store_close(store); /* does not wait */
    assert_false(exists(target));
    disk_is(false, 0);
    await_counter(&ended, 2);
    finish_with(bytes, 0, 0); /* nothing was lost */
    free(bytes);
}

static void test_background_end(void **state SH_UNUSED)
{
    uint8_t *bytes = content(1, SIZE);
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, SIZE);
    enum sh_store_state found = SH_STORE_WAITS;
    fill(item, bytes, SIZE, UINT32_MAX);
    while (found != SH_STORE_READY)
        assert_ok(sh_store_item_work(item, UINT32_MAX, &found));
    assert_int_equal(ended, 2);
    finish(item, bytes, SIZE);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

static void test_failing_disk(void **state SH_UNUSED)
{
    uint8_t *bytes = content(1, SIZE), root[32];
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, SIZE);
    enum sh_store_state found = SH_STORE_WAITS;
    enum sh_cause cause = SH_OK;
    reference_root(bytes, SIZE, root);
    disk_is(false, EIO);
    fill(item, bytes, SIZE, 10);
    assert_ok(sh_store_item_mark(item, 1000));
    assert_ok(sh_store_item_mark(item, 1000 + SH_STORE_MARK_MS));
    assert_cause(mark_again(item, 3500, 1), SH_STORE_IO_ERROR);
    assert_int_equal(mark_on_disk(), 0);
    fill(item, bytes, SIZE, UINT32_MAX);
    while (cause == SH_OK && found == SH_STORE_WAITS)
        cause = sh_store_item_work(item, UINT32_MAX, &found);
    assert_int_equal(cause, SH_STORE_IO_ERROR);
    struct sh_store_sealed sealed;
    assert_cause(sh_store_item_seal(item, root, &sealed), SH_INTERNAL_BUG);
    sh_store_item_close(item);
    sh_store_close(store);
    assert_false(exists(target));
    free(bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_test, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_power_cut),      CASE(test_torn_mark),      CASE(test_bent),
        CASE(test_hanging_disk),   CASE(test_background_end), CASE(test_failing_disk),
        CASE(test_mark_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
