/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The puller and a disk that forgets, refuses or hangs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transfer/store_list.h"
#include "unit/patient.h"
#include "unit/transfer/pair.h"

#define FAST 50000 /* octets a ms */

static struct pair pair;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs;
static unsigned syncs;

/* Stands before the library's. */
int fdatasync(int fd SH_UNUSED)
{
    pthread_mutex_lock(&lock);
    syncs++;
    while (hangs)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}

static pthread_t loop;
static bool writes_hang, reads_hang, reads_waiting;
static off_t unreadable = -1; /* until it is written again */
static bool no_leaf_readable;
static unsigned reads_left = UINT32_MAX; /* then they wait */

/* Stand before the library's: hang where the loop is not. */
ssize_t pread(int fd, void *out, size_t n, off_t offset)
{
    pthread_mutex_lock(&lock);
    while ((reads_hang || reads_left == 0) && !pthread_equal(pthread_self(), loop)) {
        reads_waiting = true;
        pthread_cond_wait(&changed, &lock);
    }
    reads_waiting = false;
    if (reads_left != UINT32_MAX && !pthread_equal(pthread_self(), loop))
        reads_left--;
    bool fails =
        (unreadable >= 0 && offset == unreadable) || (no_leaf_readable && n == SH_LEAF_SIZE);
    pthread_mutex_unlock(&lock);
    if (fails) {
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_pread64, fd, out, n, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    pthread_mutex_lock(&lock);
    while (writes_hang && !pthread_equal(pthread_self(), loop))
        pthread_cond_wait(&changed, &lock);
    if (offset == unreadable)
        unreadable = -1;
    pthread_mutex_unlock(&lock);
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, n, offset);
}

static void set(bool *what, bool to)
{
    pthread_mutex_lock(&lock);
    *what = to;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void disk_hangs(bool hanging)
{
    set(&hangs, hanging);
}

static int set_up(void **state SH_UNUSED)
{
    pair_begin(&pair);
    loop = pthread_self();
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    pair_end(&pair);
    return 0;
}

static enum fate lose_roots(struct pair *p SH_UNUSED, enum to to SH_UNUSED,
                            sh_link_id link SH_UNUSED, unsigned type)
{
    return type == SH_MSG_ROOT ? LOSE : PASS;
}

/* What cannot be remembered does not appear, and is not fetched again. */
static void test_finishing_fails(void **state SH_UNUSED)
{
    pair.refuse_finishing = SH_STORE_IO_ERROR;
    pair_item(&pair, 3 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_failed(&pair, SH_STORE_IO_ERROR);
    assert_int_equal(pair.finished, 0);
    pair_stop(&pair);
    pair.refuse_finishing = SH_OK;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 0);
}

/* The one file in a folder that ends so. */
static void only_file(const char *dir, const char *ending, char *ret_path, size_t size)
{
    DIR *entries = opendir(dir);
    const struct dirent *entry = NULL;
    unsigned found = 0;
    assert_non_null(entries);
    while ((entry = readdir(entries))) {
        size_t n = strlen(entry->d_name), e = strlen(ending);
        if (n < e || strcmp(entry->d_name + n - e, ending) != 0)
            continue;
        assert_true((size_t)snprintf(ret_path, size, "%s/%s", dir, entry->d_name) < size);
        found++;
    }
    closedir(entries);
    assert_int_equal(found, 1);
}

/* All came in an earlier session, which ended before its root did. */
static void all_but_the_root(size_t leaves)
{
    pair_item(&pair, leaves * SH_LEAF_SIZE);
    pair.fate = lose_roots;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_TRANSFER_STALLED);
    pair_stop(&pair);
    pair.fate = NULL;
}

/* Between two sessions octets of what was verified bend on the disk: those leaves are fetched again, no others. */
static void test_bent_on_disk(void **state SH_UNUSED)
{
    char work[sizeof(pair.folder) + 16], file[512];
    all_but_the_root(300);
    snprintf(work, sizeof(work), "%s/.simhop", pair.folder);
    only_file(work, ".part", file, sizeof(file));
    int fd = open(file, O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 7 * SH_LEAF_SIZE + 5), 1);
    assert_int_equal(pwrite(fd, "x", 1, 200 * SH_LEAF_SIZE), 1);
    close(fd);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 2);
    assert_int_equal(sh_puller_resumed(pair.puller), 298 * SH_LEAF_SIZE);
}

static void one_is_fetched_again(void)
{
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 1);
    assert_true(unreadable == -1);
}

/* A sector died: what was verified cannot be read. That piece is fetched again, also where another boot looks at all of them. */
static void test_dead_sector(void **state SH_UNUSED)
{
    all_but_the_root(300);
    unreadable = 7 * SH_LEAF_SIZE;
    one_is_fetched_again();
}

static void another_boot(void)
{
    char work[sizeof(pair.folder) + 16], file[512];
    snprintf(work, sizeof(work), "%s/.simhop", pair.folder);
    only_file(work, ".leaves", file, sizeof(file));
    int fd = open(file, O_WRONLY);
    assert_int_equal(pwrite(fd, "another boot id.", 16, 24), 16);
    close(fd);
}

static void test_dead_sector_after_a_boot(void **state SH_UNUSED)
{
    all_but_the_root(300);
    another_boot();
    unreadable = 7 * SH_LEAF_SIZE;
    one_is_fetched_again();
}

/* Where nothing can be read it is the disk that is told, and hardly anything is given up. */
static void test_dead_disk(void **state SH_UNUSED)
{
    all_but_the_root(300);
    another_boot();
    no_leaf_readable = true;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    pair_check_failed(&pair, SH_STORE_IO_ERROR);
    pair_stop(&pair);
    no_leaf_readable = false;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_in_range(pair.seen[SH_MSG_LEAF], 0, 16);
}

static struct sh_worker *syncer;

static void begin_background(void)
{
    assert_ok(sh_worker_new(&pair.worker));
    assert_ok(sh_worker_new(&syncer));
    sh_store_in_background(pair.store, pair.worker, syncer);
}

static unsigned syncs_before_root;

static enum fate root_comes_late(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                                 unsigned type)
{
    if (type != SH_MSG_ROOT || p->seen[SH_MSG_ROOT] > 1)
        return PASS;
    sh_worker_await(syncer, 60000);
    pthread_mutex_lock(&lock);
    syncs_before_root = syncs;
    pthread_mutex_unlock(&lock);
    return LOSE;
}

/* The disk is not idle while the root is on its way. */
static void test_disk_before_root(void **state SH_UNUSED)
{
    pair_item(&pair, 100 * SH_LEAF_SIZE);
    pair_start(&pair);
    begin_background();
    pair.fate = root_comes_late;
    syncs = syncs_before_root = 0;
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 60000));
    pair_check_done(&pair);
    assert_int_equal(syncs_before_root, 1);
    assert_int_equal(syncs, 1);
    pair_stop(&pair);
    sh_worker_free(pair.worker);
    sh_worker_free(syncer);
    pair.worker = NULL;
}

/* Said once, the end after half a minute, and no link was to blame. */
static void is_told_and_over(void)
{
    pair_link_up(&pair, LAN, 0, FAST, 1);
    sh_ms begin = pair.now;
    assert_true(pair_run(&pair, 60000));
    pair_check_failed(&pair, SH_STORE_SLOW);
    assert_in_range(pair.now - begin, SH_DISK_MS, SH_DISK_MS + 1000);
    assert_int_equal(pair.disk_waits, 1);
    assert_int_equal(pair.dropped, 0);
}

static void hang_once_some_is_here(struct pair *p)
{
    if (!writes_hang && pair_bytes(p) >= 20 * SH_LEAF_SIZE) {
        set(&writes_hang, true);
        p->worker = NULL; /* nobody waits for it */
    }
}

/* So does the one that writes: no link is to blame for it, it is told, and after half a minute it is over. */
static void test_hanging_write(void **state SH_UNUSED)
{
    struct sh_worker *worker = NULL;
    pair_item(&pair, 200 * SH_LEAF_SIZE);
    pair_start(&pair);
    begin_background();
    worker = pair.worker;
    pair.event = hang_once_some_is_here;
    is_told_and_over();
    uint64_t written = pair_bytes(&pair) / SH_LEAF_SIZE;
    pair_stop(&pair);
    set(&writes_hang, false);
    sh_worker_await(worker, 60000);
    sh_worker_free(worker);
    sh_worker_free(syncer);
    pair.event = NULL;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    pair_check_done(&pair);
    assert_true(sh_puller_resumed(pair.puller) >= written * SH_LEAF_SIZE);
    assert_true(written >= 20);
}

/* The thread that syncs never comes back: it is said after half a minute, and what was verified is there next time. */
static void test_hanging_disk(void **state SH_UNUSED)
{
    pair_item(&pair, 3 * SH_LEAF_SIZE);
    pair_start(&pair);
    begin_background();
    disk_hangs(true);
    is_told_and_over();
    pair_stop(&pair);
    sh_worker_free(pair.worker);
    sh_worker_free(syncer);
    pair.worker = NULL;
    disk_hangs(false);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    pair_check_done(&pair);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 0);
}

/* The secondary has an item of 100 leaves already, the anchor's differs in some of them. */
static void old_copy(void)
{
    static const size_t other[] = {0, 1, 15, 16, 40, 99};
    uint8_t *bytes = content(7, 100 * SH_LEAF_SIZE);
    snprintf(pair.older[0], sizeof(pair.older[0]), "%s/older", pair.folder);
    write_file(pair.older[0], bytes, 100 * SH_LEAF_SIZE);
    for (size_t i = 0; i < SH_COUNT(other); i++)
        bytes[other[i] * SH_LEAF_SIZE] ^= 1;
    pair_item_of(&pair, "item", bytes, 100 * SH_LEAF_SIZE);
}

static void check_six_pulled(void)
{
    assert_true(pair.over);
    assert_cause(pair.result, SH_OK);
    assert_int_equal(pair_bytes(&pair), 6 * SH_LEAF_SIZE);
    assert_int_equal(sh_puller_resumed(pair.puller), 94 * SH_LEAF_SIZE);
    assert_true(file_is(in_folder(pair.folder, "item"), pair.contents[0], pair.sizes[0]));
}

/* What an older copy has is found beside the loop: what is not known to differ yet is not taken for what is there. */
static void test_copy_in_background(void **state SH_UNUSED)
{
    old_copy();
    pair_start(&pair);
    begin_background();
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    check_six_pulled();
    pair_stop(&pair);
    sh_worker_free(pair.worker);
    sh_worker_free(syncer);
    pair.worker = NULL;
}

/* An older copy that cannot be read to the end does not hold the loop. */
static void test_hanging_copy(void **state SH_UNUSED)
{
    struct sh_worker *worker = NULL;
    old_copy();
    pair_start(&pair);
    begin_background();
    worker = pair.worker;
    pair.worker = NULL;
    set(&reads_hang, true);
    is_told_and_over();
    pair_stop(&pair);
    set(&reads_hang, false);
    sh_worker_await(worker, 60000);
    sh_worker_free(worker);
    sh_worker_free(syncer);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 20000));
    check_six_pulled();
}

static void *write_on(void *user SH_UNUSED)
{
    usleep(50000);
    set(&writes_hang, false);
    return NULL;
}

/* The person stops it while pieces are on their way to the disk: what is told to be kept counts them. */
static void test_leave(void **state SH_UNUSED)
{
    pthread_t thread;
    struct sh_store_look look = {0};
    pair_item(&pair, 3 * SH_LEAF_SIZE);
    pair_start(&pair);
    begin_background();
    struct sh_worker *worker = pair.worker;
    pair.worker = NULL;
    set(&writes_hang, true);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_false(pair_run(&pair, 1000));
    assert_int_equal(pthread_create(&thread, NULL, write_on, NULL), 0);
    const struct sh_puller_item *item = sh_puller_item(pair.puller, 0);
    uint8_t id[SH_ITEM_ID_SIZE];
    memcpy(id, item->id, sizeof(id));
    patient = true;
    sh_puller_leave(pair.puller);
    patient = false;
    assert_ok(sh_store_look(pair.folder, id, 3 * SH_LEAF_SIZE, &look));
    assert_int_equal(look.verified, 3 * SH_LEAF_SIZE);
    assert_false(pair.over); /* nobody is called */
    assert_int_equal(pthread_join(thread, NULL), 0);
    pair_stop(&pair);
    sh_worker_free(worker);
    sh_worker_free(syncer);
}

static sh_ms next_reads;

static bool reads_are(bool wanted)
{
    pthread_mutex_lock(&lock);
    bool so = wanted ? reads_waiting : reads_left == 0;
    pthread_mutex_unlock(&lock);
    return so;
}

/* One job's reads each 12 s of the loop's clock; the worker's own time is waited for. */
static void read_slowly(struct pair *p)
{
    if (p->now < next_reads)
        return;
    next_reads = p->now + 12000;
    for (unsigned i = 0; i < 1000 && !reads_are(true); i++)
        usleep(1000);
    pthread_mutex_lock(&lock);
    reads_left = 64;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < 1000 && !reads_are(false); i++)
        usleep(1000);
}

/* All is here, and to read it again takes minutes: the anchor hears that somebody is at work. */
static void test_slow_to_read(void **state SH_UNUSED)
{
    struct sh_worker *worker = NULL;
    all_but_the_root(64 * 5);
    pair_start(&pair);
    begin_background();
    worker = pair.worker;
    pair.worker = NULL;
    reads_left = 0;
    next_reads = pair.now;
    pair.event = read_slowly;
    pair.seen[SH_MSG_PROGRESS] = 0;
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 200000));
    pair_check_done(&pair);
    assert_true(pair.seen[SH_MSG_PROGRESS] >= 4);
    reads_left = UINT32_MAX;
    pair_stop(&pair);
    sh_worker_free(worker);
    sh_worker_free(syncer);
}

/* A MiB in a second: all of it takes much longer than anybody waits for something new. */
static void the_anchor_reads_slowly(void)
{
    pair_open_again(&pair);
    pair_start(&pair);
    pair.anchor_step_ms = 1000;
    sh_ms from = pair.now;
    pair.anchor_reads = 0;
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 200000));
    pair_check_done(&pair);
    assert_true(pair.now - from >= 39000);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 0);
    assert_int_equal(pair.anchor_reads, 1);
}

/* All is here, and the anchor, which began anew, has to read all of it for the root, or for the receipt: its disk needs minutes. */
static void test_anchor_slow_to_read(void **state SH_UNUSED)
{
    all_but_the_root(64 * 10);
    the_anchor_reads_slowly();
}

/* Another item comes meanwhile: that nothing but the reading is waited for is said when it is so. */
static void test_anchor_slow_to_read_one_of_two(void **state SH_UNUSED)
{
    all_but_the_root(64 * 10);
    pair_open_again(&pair);
    pair_item(&pair, 64 * 2 * SH_LEAF_SIZE);
    pair_start(&pair);
    pair.anchor_step_ms = 1000;
    pair.anchor_reads = 0;
    pair_link_up(&pair, LAN, 0, 300, 1);
    assert_true(pair_run(&pair, 200000));
    pair_check_done(&pair);
    assert_true(pair.anchor_reads <= 1);
}

static void test_anchor_slow_to_read_what_is_had(void **state SH_UNUSED)
{
    pair.have = true;
    pair_item_named(&pair, "had one", 64 * 4 * SH_LEAF_SIZE);
    pair_item_named(&pair, "had two", 64 * 6 * SH_LEAF_SIZE);
    the_anchor_reads_slowly();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finishing_fails),
        TEST(test_bent_on_disk),
        TEST(test_hanging_disk),
        TEST(test_disk_before_root),
        TEST(test_hanging_write),
        TEST(test_copy_in_background),
        TEST(test_hanging_copy),
        TEST(test_dead_sector),
        TEST(test_dead_sector_after_a_boot),
        TEST(test_dead_disk),
        TEST(test_slow_to_read),
        TEST(test_leave),
        TEST(test_anchor_slow_to_read),
        TEST(test_anchor_slow_to_read_what_is_had),
        TEST(test_anchor_slow_to_read_one_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
