/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is synced and when, with a disk that obeys the test: how far a power cut is believed, a disk that hangs, one that fails. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/patient.h"
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

/* Of large items only: none of them needs room in truth. */
static uint64_t reserved; /* octets, from the start on */
static int no_more;       /* errno, behind the first part */

int fallocate(int fd, int mode, off_t offset, off_t n)
{
    if ((uint64_t)n < SH_STORE_RESERVE_FIRST)
        return (int)syscall(SYS_fallocate, fd, mode, offset, n);
    pthread_mutex_lock(&lock);
    while (offset > 0 && hangs)
        pthread_cond_wait(&changed, &lock);
    int error = offset > 0 ? no_more : 0;
    if (error == 0 && (uint64_t)offset == reserved)
        reserved += (uint64_t)n;
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

static struct sh_worker *worker, *syncer;

static struct sh_store *open_background(void)
{
    struct sh_store *store = open_store();
    assert_ok(sh_worker_new(&worker));
    assert_ok(sh_worker_new(&syncer));
    sh_store_in_background(store, worker, syncer);
    return store;
}

static void close_background(struct sh_store *store)
{
    sh_store_close(store);
    sh_worker_free(worker);
    sh_worker_free(syncer);
}

/* Marks until the thread's result is taken. */
static enum sh_cause mark_again(struct sh_store_item *item, sh_ms now, unsigned syncs)
{
    await_counter(&ended, syncs);
    sh_worker_await(syncer, 60000); /* it may need a moment after its last sync */
    return sh_store_item_mark(item, now);
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
    close_background(store);
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
    close_background(store); /* does not wait */
    assert_false(exists(target));
    disk_is(false, 0);
    await_counter(&ended, 1);
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
    assert_int_equal(ended, 1);          /* the journal, which goes now, is not waited for */
    assert_int_equal(mark_on_disk(), 0); /* and not said to be on the disk */
    finish(item, bytes, SIZE);
    sh_store_item_close(item);
    close_background(store);
    free(bytes);
}

/* The root that is found beside the loop is held against what the anchor says, too. */
static void test_background_root(void **state SH_UNUSED)
{
    static const uint8_t wrong[32] = {1};
    uint8_t *bytes = content(2, SIZE);
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, SIZE);
    struct sh_store_sealed sealed;
    enum sh_store_state found = SH_STORE_WAITS;
    fill(item, bytes, SIZE, UINT32_MAX);
    while (found != SH_STORE_READY)
        assert_ok(sh_store_item_work(item, UINT32_MAX, &found));
    assert_cause(sh_store_item_seal(item, wrong, &sealed), SH_TRANSFER_ROOT_MISMATCH);
    assert_int_equal(access(target, F_OK), -1);
    sh_store_item_close(item);
    close_background(store);
    free(bytes);
}

/* Pieces of a large item are put before all of its space is reserved; that there is none in the end is told, and they are kept. */
static void test_large(void **state SH_UNUSED)
{
    const uint64_t size = 10 * SH_STORE_RESERVE_FIRST + 7;
    for (no_more = 0; no_more <= ENOSPC; no_more += ENOSPC) {
        uint8_t *bytes = content(8, 5 * SH_LEAF_SIZE);
        reserved = 0;
        disk_is(false, 0);
        struct sh_store *store = open_background();
        struct sh_store_item *item = open_item(store, size);
        sh_worker_await(syncer, 5000); /* it does not begin before the first piece is written */
        assert_int_equal(reserved, SH_STORE_RESERVE_FIRST);
        disk_is(true, 0);
        assert_int_equal(fill(item, bytes, size, 5), 5);
        disk_is(false, 0);
        sh_worker_await(syncer, 5000);
        sh_worker_take(syncer);
        assert_int_equal(reserved, no_more ? SH_STORE_RESERVE_FIRST : size);
        assert_cause(sh_store_item_mark(item, 1000), no_more ? SH_STORE_NO_SPACE : SH_OK);
        sh_store_item_close(item);
        close_background(store);
        store = open_background();
        item = open_item(store, size);
        assert_int_equal(sh_store_item_verified(item), 5 * SH_LEAF_SIZE);
        sh_store_item_close(item);
        close_background(store);
        assert_int_equal(unlink(part), 0);
        assert_int_equal(unlink(leaves), 0);
        free(bytes);
    }
}

/* Gives leaf after leaf without waiting, and counts what was said of them. */
static unsigned give(struct sh_store_item *item, const uint8_t *bytes, size_t size,
                     const unsigned *order, unsigned count)
{
    const struct sh_store_from from = {.link = 1, .more = true};
    struct sh_store_news news;
    unsigned taken = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t hash[32];
        struct sh_bytes data =
            SH_BYTES(bytes + order[i] * SH_LEAF_SIZE, sh_leaf_length(size, order[i]));
        assert_ok(sh_leaf_hash(data, hash));
        assert_ok(sh_store_item_put(item, order[i], data, hash, &from));
        assert_true(sh_store_item_has(item, order[i]));
        assert_ok(sh_store_item_put(item, order[i], data, hash, &from)); /* passed over */
    }
    sh_store_item_hurry(item);
    while (sh_store_item_is_behind(item)) {
        if (!sh_store_item_take(item, &news))
            continue;
        assert_ok(news.cause);
        assert_int_equal(news.leaf, order[taken++]);
    }
    return taken;
}

static enum sh_store_state work_on(struct sh_store_item *item)
{
    enum sh_store_state found = SH_STORE_MORE;
    while (found == SH_STORE_MORE || found == SH_STORE_WAITS)
        assert_ok(sh_store_item_work(item, UINT32_MAX, &found));
    return found;
}

/* In whatever order leaves are given, the whole has its SHA-256; what was bent in between is found out. */
static void test_background_order(void **state SH_UNUSED)
{
    enum { LEAVES = 200 };
    const size_t size = LEAVES * (size_t)SH_LEAF_SIZE - 5;
    uint8_t *bytes = content(4, size);
    unsigned order[LEAVES];
    for (unsigned i = 0; i < LEAVES; i++)
        order[i] = i * 77 % LEAVES;
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, size);
    assert_int_equal(give(item, bytes, size, order, 120), 120);
    sh_store_item_close(item);
    close_background(store);
    bend(order[3]);
    store = open_background();
    item = open_item(store, size);
    assert_int_equal(give(item, bytes, size, order + 120, LEAVES - 120), LEAVES - 120);
    assert_int_equal(work_on(item), SH_STORE_LACKS);
    assert_int_equal(give(item, bytes, size, order + 3, 1), 1);
    assert_int_equal(work_on(item), SH_STORE_READY);
    finish(item, bytes, size);
    sh_store_item_close(item);
    close_background(store);
    free(bytes);
}

/* What was given and not yet said anything of when the session ends is kept. */
static void test_background_close(void **state SH_UNUSED)
{
    static const struct sh_store_from from = {.link = 1, .more = true};
    uint8_t *bytes = content(5, SIZE);
    struct sh_store *store = open_background();
    struct sh_store_item *item = open_item(store, SIZE);
    for (unsigned leaf = 0; leaf < 6; leaf++) {
        uint8_t hash[32];
        struct sh_bytes data = SH_BYTES(bytes + leaf * SH_LEAF_SIZE, SH_LEAF_SIZE);
        assert_ok(sh_leaf_hash(data, hash));
        hash[0] ^= leaf == 4; /* and of that nothing */
        assert_ok(sh_store_item_put(item, leaf, data, hash, &from));
    }
    patient = true;
    sh_store_item_close(item);
    close_background(store);
    patient = false;
    finish_with(bytes, 15, 0);
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
    close_background(store);
    assert_false(exists(target));
    free(bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_test, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_power_cut),
        CASE(test_torn_mark),
        CASE(test_bent),
        CASE(test_hanging_disk),
        CASE(test_background_end),
        CASE(test_background_root),
        CASE(test_failing_disk),
        CASE(test_large),
        CASE(test_mark_goes_back),
        CASE(test_background_order),
        CASE(test_background_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
