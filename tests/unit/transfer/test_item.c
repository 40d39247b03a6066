/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/worker.h"
#include "transfer/item.h"

#include <sys/resource.h>
#include <sys/time.h>

#include "transfer/leaf.h"
#include "unit/transfer/util.h"

static const uint8_t anchor[16] = "an anchor's id.";
static char folder[PATH_SIZE];

static int set_up(void **state SH_UNUSED)
{
    make_folder(folder);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    remove_tree(folder);
    return 0;
}

static void test_names(void **state SH_UNUSED)
{
    char longest[SH_ITEM_NAME_MAX + 1], longer[SH_ITEM_NAME_MAX + 2], very_long[301];
    memset(longest, 'x', sizeof(longest));
    memset(longer, 'x', sizeof(longer));
    memset(very_long, 'x', sizeof(very_long));
    longest[sizeof(longest) - 1] = longer[sizeof(longer) - 1] = very_long[300] = '\0';
    const char *const good[] = {"a",
                                "photo.jpg",
                                "two words",
                                "a..b",
                                "~",
                                "-rf",
                                "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1",
                                "\xed\x9f\xbf",
                                "\xf4\x8f\xbf\xbf",
                                "name\xc2\xa0x",
                                longest};
    const char *const bad[] = {"",
                               ".",
                               "..",
                               "...",
                               ".hidden",
                               ".simhop",
                               "/",
                               "a/b",
                               "../a",
                               "a/",
                               "a\nb",
                               "a\tb",
                               "a\x1b[2J",
                               "\x7f",
                               "\xc2\x80",
                               "\xc2\x9f", /* control characters */
                               "\xe2\x80\xae"
                               "gpj.exe",
                               "\xe2\x81\xa6x", /* turn the direction of text */
                               "\xe2\x80\xa8",  /* line separator */
                               "\x80",
                               "\xc3",
                               "\xc3(",
                               "\xe2\x82",
                               "\xf0\x9f\x93", /* cut */
                               "\xc0\xaf",
                               "\xe0\x80\xaf",
                               "\xf0\x80\x80\xaf", /* a slash the long way */
                               "\xc1\x81",
                               "\xe0\x81\x81",
                               "\xed\xa0\x80",
                               "\xf4\x90\x80\x80",
                               "\xf8\x88\x80\x80\x80",
                               "\xff",
                               longer,
                               very_long};
    for (size_t i = 0; i < SH_COUNT(good); i++)
        assert_ok(sh_item_name_check(good[i]));
    for (size_t i = 0; i < SH_COUNT(bad); i++)
        assert_cause(sh_item_name_check(bad[i]), SH_STORE_BAD_NAME);
    assert_cause(sh_item_name_check(NULL), SH_STORE_BAD_NAME);
}

static struct sh_item *open_file(const char *path)
{
    struct sh_item *item = NULL;
    assert_ok(sh_item_open_file(NULL, path, anchor, &item));
    return item;
}

static void check_seal(struct sh_item *item, const uint8_t *bytes, size_t size)
{
    uint8_t root[32], expected[32];
    bool done = false;
    while (!done)
        assert_ok(sh_item_seal_work(item, 3, &done));
    assert_ok(sh_item_root(item, root));
    reference_root(bytes, size, expected);
    assert_memory_equal(root, expected, 32);
}

static void test_sizes(void **state SH_UNUSED)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 131073, 700000};
    const char *path = in_folder(folder, "some file");
    for (size_t i = 0; i < SH_COUNT(sizes); i++) {
        uint8_t *bytes = content((unsigned)i, sizes[i]);
        static uint8_t out[SH_LEAF_SIZE];
        write_file(path, bytes, sizes[i]);
        struct sh_item *item = open_file(path);
        assert_string_equal(sh_item_name(item), "some file");
        assert_int_equal(sh_item_kind(item), SIMHOP__ITEM_KIND__ITEM_KIND_FILE);
        assert_int_equal(sh_item_size(item), sizes[i]);
        for (uint64_t leaf = 0; leaf < sh_leaf_count(sizes[i]); leaf++) {
            uint32_t length = 0;
            assert_ok(sh_item_read_leaf(item, leaf, out, &length));
            assert_int_equal(length, sh_leaf_length(sizes[i], leaf));
            assert_memory_equal(out, bytes + leaf * SH_LEAF_SIZE, length);
        }
        uint32_t untouched = 77;
        assert_cause(sh_item_read_leaf(item, sh_leaf_count(sizes[i]), out, &untouched),
                     SH_INTERNAL_BUG);
        assert_int_equal(untouched, 77);
        check_seal(item, bytes, sizes[i]);
        sh_item_free(item);
        struct sh_item *memory = NULL;
        assert_ok(sh_item_open_memory("m", SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE,
                                      SH_BYTES(bytes, sizes[i]), anchor, &memory));
        check_seal(memory, bytes, sizes[i]);
        sh_item_free(memory);
        free(bytes);
    }
}

static void feed(struct sh_item *item, const uint8_t *bytes, uint64_t leaf)
{
    const struct sh_bytes data =
        SH_BYTES(bytes + leaf * SH_LEAF_SIZE, sh_leaf_length(sh_item_size(item), leaf));
    uint8_t hash[32];
    assert_ok(sh_leaf_hash(data, hash));
    assert_ok(sh_item_seal_feed(item, leaf, hash));
}

/* Served leaves seal when it is their turn. What was served long before it, or twice, does not matter. */
static void test_feed(void **state SH_UNUSED)
{
    uint8_t *bytes = content(5, 300000);
    struct sh_item *item = NULL;
    uint8_t hash[32], nonsense[32] = {1};
    bool done = true;
    assert_ok(sh_item_open_memory("m", SIMHOP__ITEM_KIND__ITEM_KIND_FILE, SH_BYTES(bytes, 300000),
                                  anchor, &item));
    assert_cause(sh_item_root(item, hash), SH_INTERNAL_BUG);
    assert_ok(sh_item_seal_feed(item, 1 << 20, nonsense));
    feed(item, bytes, 0);
    assert_ok(sh_item_seal_feed(item, 0, nonsense));
    assert_ok(sh_item_seal_work(item, 0, &done));
    assert_false(done);
    check_seal(item, bytes, 300000);
    sh_item_free(item);
    free(bytes);
}

/* Two links that serve by turns, one quicker than the other: nothing is read again for the root. */
static void test_feed_by_turns(void **state SH_UNUSED)
{
    enum { LEAVES = 333, STEP = 7 };
    const size_t size = LEAVES * (size_t)SH_LEAF_SIZE - 9;
    uint8_t *bytes = content(6, size), root[32], expected[32];
    struct sh_item *item = NULL;
    assert_ok(sh_item_open_memory("m", SIMHOP__ITEM_KIND__ITEM_KIND_FILE, SH_BYTES(bytes, size),
                                  anchor, &item));
    for (unsigned first = 0; first < LEAVES; first += 5 * STEP) {
        unsigned end = SH_MIN(first + 5 * STEP, (unsigned)LEAVES);
        for (unsigned i = first + STEP; i < end; i++) /* the quick one goes on from here */
            feed(item, bytes, i);
        for (unsigned i = first; i < SH_MIN(first + STEP, end); i++)
            feed(item, bytes, i);
    }
    assert_true(sh_item_sealed(item));
    assert_ok(sh_item_root(item, root));
    reference_root(bytes, size, expected);
    assert_memory_equal(root, expected, sizeof(root));
    check_seal(item, bytes, size);
    sh_item_free(item);
    free(bytes);
}

static void test_refused(void **state SH_UNUSED)
{
    struct sh_item *item = NULL;
    const char *fifo = in_folder(folder, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_cause(sh_item_open_file(NULL, fifo, anchor, &item), SH_SOURCE_UNREADABLE);
    assert_cause(sh_item_open_file("x", folder, anchor, &item), SH_SOURCE_UNREADABLE);
    assert_cause(sh_item_open_file(NULL, "/dev/zero", anchor, &item), SH_SOURCE_UNREADABLE);
    assert_cause(sh_item_open_file(NULL, in_folder(folder, "none"), anchor, &item),
                 SH_SOURCE_UNREADABLE);
    write_file(in_folder(folder, "f"), "x", 1);
    assert_cause(sh_item_open_file("a/b", in_folder(folder, "f"), anchor, &item),
                 SH_STORE_BAD_NAME);
    assert_cause(sh_item_open_file(NULL, in_folder(folder, ".f"), anchor, &item),
                 SH_STORE_BAD_NAME);
    assert_null(item);
}

static void shift_mtime(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    times[1].tv_nsec = (times[1].tv_nsec + 1) % 1000000000;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void change_none(const char *path SH_UNUSED) {}

static void change_time(const char *path)
{
    shift_mtime(path);
}

static void change_shorter(const char *path)
{
    assert_int_equal(truncate(path, 100000), 0);
}

static void change_longer(const char *path)
{
    assert_int_equal(truncate(path, 200001), 0);
}

static void change_file(const char *path)
{
    uint8_t *bytes = content(1, 200000);
    write_file(in_folder(folder, "other"), bytes, 200000);
    assert_int_equal(rename(in_folder(folder, "other"), path), 0);
    free(bytes);
}

static void change_gone(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

/* before: the change comes before the first read. A file that is replaced while it is being read
 * is read on. */
static void check_change(void (*change)(const char *), bool before, enum sh_cause expected)
{
    const char *path = in_folder(folder, "changing");
    static uint8_t out[SH_LEAF_SIZE];
    uint8_t *bytes = content(1, 200000);
    uint32_t length = 0;
    write_file(path, bytes, 200000);
    struct sh_item *item = open_file(path);
    if (!before)
        assert_ok(sh_item_read_leaf(item, 0, out, &length));
    change(path);
    assert_cause(sh_item_read_leaf(item, 3, out, &length), expected);
    sh_item_free(item);
    free(bytes);
}

static void test_changed_source(void **state SH_UNUSED)
{
    for (int before = 0; before <= 1; before++) {
        check_change(change_none, before, SH_OK);
        check_change(change_time, before, SH_TRANSFER_SOURCE_CHANGED);
        check_change(change_shorter, before, SH_TRANSFER_SOURCE_CHANGED);
        check_change(change_longer, before, SH_TRANSFER_SOURCE_CHANGED);
    }
    check_change(change_file, true, SH_TRANSFER_SOURCE_CHANGED);
    check_change(change_gone, true, SH_TRANSFER_SOURCE_CHANGED);
}

/* The same unchanged source has the same id, anything else another. */
static void test_id(void **state SH_UNUSED)
{
    static const uint8_t other_anchor[16] = {1};
    const char *path = in_folder(folder, "id");
    struct sh_item *items[6] = {NULL};
    write_file(path, "one", 3);
    items[0] = open_file(path);
    items[1] = open_file(path);
    assert_memory_equal(sh_item_id(items[0]), sh_item_id(items[1]), SH_ITEM_ID_SIZE);
    assert_ok(sh_item_open_file("another name", path, anchor, &items[2]));
    assert_ok(sh_item_open_file(NULL, path, other_anchor, &items[3]));
    shift_mtime(path);
    items[4] = open_file(path);
    assert_ok(sh_item_open_memory("id", SIMHOP__ITEM_KIND__ITEM_KIND_FILE, SH_BYTES("one", 3),
                                  anchor, &items[5]));
    for (size_t i = 1; i < SH_COUNT(items); i++) {
        for (size_t j = i + 1; j < SH_COUNT(items); j++)
            assert_memory_not_equal(sh_item_id(items[i]), sh_item_id(items[j]), SH_ITEM_ID_SIZE);
    }
    for (size_t i = 0; i < SH_COUNT(items); i++)
        sh_item_free(items[i]);
}

/* The hash of a leaf is found once, and again when the file is another one; of more leaves than are known at once each has its own. */
static void test_known_hashes(void **state SH_UNUSED)
{
    const char *path = in_folder(folder, "known");
    const size_t size = 700 * SH_LEAF_SIZE - 5;
    static const uint8_t other[SH_LEAF_SIZE] = {1};
    static uint8_t out[SH_LEAF_SIZE];
    uint8_t *bytes = content(5, size), hash[32], expected[32];
    uint32_t n = 0;
    write_file(path, bytes, size);
    struct sh_item *item = open_file(path);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (uint64_t leaf = 0; leaf < 700; leaf++) {
            assert_ok(sh_item_read_leaf(item, leaf, out, &n));
            assert_ok(sh_item_leaf_hash(item, leaf, SH_BYTES(out, n), hash));
            assert_ok(sh_leaf_hash(SH_BYTES(bytes + leaf * SH_LEAF_SIZE, n), expected));
            assert_memory_equal(hash, expected, 32);
        }
    }
    assert_ok(sh_item_leaf_hash(item, 699, SH_BYTES(other, n), hash)); /* it is not looked at */
    assert_memory_equal(hash, expected, 32);
    assert_ok(sh_item_read_leaf(item, 0, out, &n));
    assert_ok(sh_item_leaf_hash(item, 0, SH_BYTES(out, n), hash));
    write_file(path, other, sizeof(other));
    assert_ok(sh_item_renew(item, anchor));
    assert_ok(sh_item_read_leaf(item, 0, out, &n));
    assert_ok(sh_item_leaf_hash(item, 0, SH_BYTES(out, n), hash));
    assert_ok(sh_leaf_hash(SH_BYTES(other, sizeof(other)), expected));
    assert_memory_equal(hash, expected, 32);
    sh_item_free(item);
    free(bytes);
}

static void test_renew(void **state SH_UNUSED)
{
    const char *path = in_folder(folder, "renewed");
    uint8_t before[SH_ITEM_ID_SIZE], root[32], expected[32], *bytes = content(3, 200000);
    bool done = false;
    write_file(path, bytes, 200000);
    struct sh_item *item = open_file(path);
    memcpy(before, sh_item_id(item), sizeof(before));
    assert_ok(sh_item_renew(item, anchor));
    assert_memory_equal(sh_item_id(item), before, sizeof(before));
    assert_ok(sh_item_seal_work(item, 2, &done));
    write_file(path, bytes, 150000);
    shift_mtime(path);
    assert_ok(sh_item_renew(item, anchor));
    assert_memory_not_equal(sh_item_id(item), before, sizeof(before));
    assert_int_equal(sh_item_size(item), 150000);
    assert_ok(sh_item_seal_work(item, 9, &done));
    assert_true(done);
    assert_ok(sh_item_root(item, root));
    reference_root(bytes, 150000, expected);
    assert_memory_equal(root, expected, 32);
    memcpy(before, sh_item_id(item), sizeof(before));
    assert_int_equal(unlink(path), 0);
    assert_cause(sh_item_renew(item, anchor), SH_SOURCE_UNREADABLE);
    assert_memory_equal(sh_item_id(item), before, sizeof(before));
    write_file(path, "", 0); /* nothing is to be read of it: it is sealed */
    assert_ok(sh_item_renew(item, anchor));
    assert_true(sh_item_sealed(item));
    sh_item_free(item);
    free(bytes);
}

static void test_descriptors(void **state SH_UNUSED)
{
    struct rlimit old, few = {.rlim_cur = 24};
    static struct sh_item *items[200];
    static uint8_t out[SH_LEAF_SIZE];
    uint32_t length = 0;
    getrlimit(RLIMIT_NOFILE, &old);
    few.rlim_max = old.rlim_max;
    write_file(in_folder(folder, "f"), "x", 1);
    setrlimit(RLIMIT_NOFILE, &few);
    for (size_t i = 0; i < SH_COUNT(items); i++)
        items[i] = open_file(in_folder(folder, "f"));
    for (size_t i = 0; i < SH_COUNT(items); i++) {
        assert_ok(sh_item_read_leaf(items[i], 0, out, &length));
        sh_item_rest(items[i]);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    for (size_t i = 0; i < SH_COUNT(items); i++)
        sh_item_free(items[i]);
}

/* The root by a worker, whatever was served meanwhile; a source that changes, and an item that goes, under its hands. */
static void test_worker(void **state SH_UNUSED)
{
    enum { LEAVES = 700 };
    const size_t size = LEAVES * (size_t)SH_LEAF_SIZE - 3;
    const char *path = in_folder(folder, "large");
    uint8_t *bytes = content(9, size);
    struct sh_worker *worker = NULL;
    bool done = false;
    assert_ok(sh_worker_new(&worker));
    write_file(path, bytes, size);
    struct sh_item *item = open_file(path);
    sh_item_set_worker(item, worker);
    for (unsigned i = 0; i < 600; i++) { /* served */
        feed(item, bytes, i);
        if (i % 50 == 0)
            sh_worker_await(worker, 1000);
    }
    check_seal(item, bytes, size);
    sh_item_free(item);

    item = open_file(path);
    sh_item_set_worker(item, worker);
    check_seal(item, bytes, size); /* all of it */
    sh_item_free(item);

    item = open_file(path);
    sh_item_set_worker(item, worker);
    assert_ok(sh_item_seal_work(item, 9, &done));
    shift_mtime(path);
    enum sh_cause cause = SH_OK;
    while (cause == SH_OK && !done)
        cause = sh_item_seal_work(item, 9, &done);
    assert_cause(cause, SH_TRANSFER_SOURCE_CHANGED);
    assert_ok(sh_item_renew(item, anchor));
    assert_ok(sh_item_seal_work(item, 9, &done));
    assert_true(sh_item_seal_waits(item));
    sh_item_free(item);
    sh_worker_free(worker);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test(test_feed),
        cmocka_unit_test(test_feed_by_turns),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changed_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_known_hashes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_worker, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
