/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is taken over from older copies of an item, and what of it a kill leaves. */
#include <sys/wait.h>

#include "unit/transfer/store_folder.h"

#define N    50
#define SIZE ((size_t)N * SH_LEAF_SIZE - 9)

static uint8_t *bytes;
static char copy[PATH_SIZE + 8];
static uint64_t differing; /* octets, of which that was said */

static int begin(void **state)
{
    set_up(state);
    differing = 0;
    bytes = content(5, SIZE);
    snprintf(copy, sizeof(copy), "%s/copy", folder);
    write_file(copy, bytes, SIZE);
    return 0;
}

static int end(void **state)
{
    free(bytes);
    return tear_down(state);
}

static void expect_all(struct sh_store_item *item)
{
    uint8_t hashes[N][SH_HASH_SIZE];
    for (uint64_t i = 0; i < N; i++)
        assert_ok(
            sh_leaf_hash(SH_BYTES(bytes + i * SH_LEAF_SIZE, sh_leaf_length(SIZE, i)), hashes[i]));
    assert_ok(sh_store_item_expect(item, 0, hashes[0], 20));
    assert_ok(sh_store_item_expect(item, 20, hashes[20], N - 20));
}

static struct sh_store_older open_copy(void)
{
    char *const paths[SH_STORE_OLDER] = {copy, NULL};
    struct sh_store_older older;
    assert_ok(sh_store_older_open(paths, &older));
    return older;
}

static void take_before(struct sh_store_item *item, struct sh_store_older *older, uint64_t end)
{
    struct sh_store_news news;
    assert_ok(sh_store_item_take_over(item, older, end, 7));
    while (sh_store_item_take(item, &news)) {
        assert_ok(news.cause);
        assert_int_equal(news.from.link, 0);
        assert_int_equal(sh_store_item_has(item, news.leaf), !news.differs);
        differing += news.differs ? news.octets : 0;
    }
    assert_int_equal(sh_store_item_compares(item), 0);
}

static void take_over(struct sh_store_item *item, struct sh_store_older *older)
{
    while (older->next < N)
        take_before(item, older, N);
    sh_store_older_close(older);
}

static void test_all(void **state SH_UNUSED)
{
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    struct sh_store_older older = open_copy();
    expect_all(item);
    assert_int_equal(sh_store_item_verified(item), 0); /* only said */
    take_before(item, &older, N);
    assert_int_equal(older.next, 7);
    assert_int_equal(sh_store_item_verified(item), 7 * SH_LEAF_SIZE);
    take_before(item, &older, 9);
    assert_int_equal(older.next, 9);
    assert_int_equal(sh_store_item_verified(item), 9 * SH_LEAF_SIZE);
    take_over(item, &older);
    assert_int_equal(differing, 0);
    finish(item, bytes, SIZE);
    assert_true(file_is(copy, bytes, SIZE));
    sh_store_item_close(item);
    sh_store_close(store);
}

/* What is there already is neither read nor said anew; what differs, or is not there, stays missing. */
static void test_some(void **state SH_UNUSED)
{
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    struct sh_store_older older = open_copy();
    assert_int_equal(fill(item, bytes, SIZE, 3), 3);
    expect_all(item);
    sh_store_item_rest(item);
    assert_ok(sh_store_item_wake(item));
    assert_int_equal(sh_store_item_verified(item), 3 * SH_LEAF_SIZE);
    write_at(copy, 0, "other", 5);
    write_at(copy, 10 * SH_LEAF_SIZE, "other", 5);
    assert_int_equal(truncate(copy, 40 * SH_LEAF_SIZE - 1), 0); /* while it is open */
    take_before(item, &older, 2);                               /* all of that is there */
    assert_int_equal(older.next, 2);
    take_over(item, &older);
    assert_int_equal(differing, SIZE - 38 * SH_LEAF_SIZE);
    assert_int_equal(sh_store_item_verified(item), 38 * SH_LEAF_SIZE);
    assert_int_equal(sh_store_item_next_missing(item, 0), 10);
    assert_int_equal(sh_store_item_next_missing(item, 11), 39);
    assert_int_equal(fill(item, bytes, SIZE, N), N - 38);
    finish(item, bytes, SIZE);
    sh_store_item_close(item);
    sh_store_close(store);
}

/* Without a word on their hashes nothing is taken; at rest, or behind the end, neither. */
static void test_not_expected(void **state SH_UNUSED)
{
    const uint8_t hash[2 * SH_HASH_SIZE] = {1};
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    struct sh_store_older older = open_copy();
    assert_cause(sh_store_item_expect(item, N - 1, hash, 2), SH_INTERNAL_BUG);
    assert_cause(sh_store_item_expect(item, UINT64_MAX, hash, 2), SH_INTERNAL_BUG);
    sh_store_item_rest(item);
    assert_cause(sh_store_item_expect(item, 0, hash, 1), SH_INTERNAL_BUG);
    assert_cause(sh_store_item_take_over(item, &older, N, 1), SH_INTERNAL_BUG);
    assert_ok(sh_store_item_wake(item));
    assert_ok(sh_store_item_expect(item, 0, hash, 1));
    take_over(item, &older);
    assert_int_equal(sh_store_item_verified(item), 0);
    sh_store_item_close(item);
    sh_store_close(store);
    assert_false(exists(part)); /* nothing is verified: nothing stays */
}

/* Killed in between: what was taken over is there, what was only said is not. */
static void test_killed(void **state SH_UNUSED)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct sh_store_item *item = open_item(open_store(), SIZE);
        struct sh_store_older older = open_copy();
        expect_all(item);
        assert_ok(sh_store_item_take_over(item, &older, N, 11));
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    assert_int_equal(sh_store_item_verified(item), 11 * SH_LEAF_SIZE);
    assert_int_equal(fill(item, bytes, SIZE, N), N - 11);
    finish(item, bytes, SIZE);
    sh_store_item_close(item);
    sh_store_close(store);
}

/* Neither a link nor a FIFO is opened, and the second copy serves where the first does not. */
static void test_copies(void **state SH_UNUSED)
{
    char fifo[PATH_SIZE + 8], symbolic[PATH_SIZE + 16];
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    snprintf(symbolic, sizeof(symbolic), "%s/symbolic", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink(copy, symbolic), 0);
    char *const none[SH_STORE_OLDER] = {fifo, symbolic}, *const second[SH_STORE_OLDER] = {fifo,
                                                                                          copy};
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, SIZE);
    struct sh_store_older older;
    expect_all(item);
    assert_ok(sh_store_older_open(none, &older));
    take_over(item, &older);
    assert_int_equal(sh_store_item_verified(item), 0);
    assert_ok(sh_store_older_open(second, &older));
    take_over(item, &older);
    assert_int_equal(sh_store_item_verified(item), SIZE);
    sh_store_item_close(item);
    sh_store_close(store);
}

/* What is only reserved, or a hole, holds nothing that could be the same. */
static void test_octets(void **state SH_UNUSED)
{
    enum { PART = 8 * SH_LEAF_SIZE };
    assert_int_equal(sh_store_older_octets(copy), SIZE);
    assert_int_equal(sh_store_older_octets(in_folder(folder, "nowhere")), 0);
    assert_int_equal(sh_store_older_octets(folder), 0);
    assert_int_equal(unlink(copy), 0);
    write_file(copy, bytes, PART);
    assert_int_equal(truncate(copy, 100 * (off_t)PART), 0);
    write_at(copy, 50 * (off_t)PART, bytes, PART);
    assert_int_equal(sh_store_older_octets(copy), 2 * PART);
    int fd = open(copy, O_RDWR);
    if (fallocate(fd, 0, 60 * (off_t)PART, 40 * (off_t)PART) == 0)
        assert_int_equal(sh_store_older_octets(copy), 2 * PART);
    close(fd);
}

#define OLDER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OLDER_TEST(test_all),    OLDER_TEST(test_some),   OLDER_TEST(test_not_expected),
        OLDER_TEST(test_killed), OLDER_TEST(test_copies), OLDER_TEST(test_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
