/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a store keeps, goes on with, and refuses. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "unit/transfer/store_folder.h"

#define HEADER 64
#define RECORD 33

static void test_sizes(void **state SH_UNUSED)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 5 * MIB + 17, 20 * MIB};
    for (size_t i = 0; i < SH_COUNT(sizes); i++) {
        uint8_t *bytes = content((unsigned)i, sizes[i]);
        struct sh_store *store = open_store();
        struct sh_store_item *item = open_item(store, sizes[i]);
        struct stat st;
        assert_int_equal(stat(in_folder(folder, ".simhop"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_false(exists(target));
        assert_int_equal(fill(item, bytes, sizes[i], UINT32_MAX), sh_leaf_count(sizes[i]));
        assert_false(exists(target));
        finish(item, bytes, sizes[i]);
        sh_store_item_close(item);
        sh_store_close(store);
        assert_int_equal(count_entries(folder), 1); /* .simhop is gone again */
        assert_int_equal(unlink(target), 0);
        free(bytes);
    }
}

static void test_reserves(void **state SH_UNUSED)
{
    struct stat st;
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, 8 * MIB);
    assert_int_equal(stat(part, &st), 0);
    assert_int_equal(st.st_size, 8 * MIB);
    assert_true((uint64_t)st.st_blocks * 512 >= 8 * MIB);
    assert_int_equal(st.st_mode & 07777, 0600);
    sh_store_item_rest(item);
    assert_true(exists(part));
    sh_store_item_close(item); /* nothing was verified: no space is kept */
    sh_store_close(store);
    assert_int_equal(count_entries(folder), 0);
}

/* Backwards, doubled, wrong ones. */
static void test_put(void **state SH_UNUSED)
{
    const size_t size = 3 * SH_LEAF_SIZE + 9;
    uint8_t *bytes = content(1, size), hash[32] = {0};
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size);
    bool is_new = false;
    for (uint64_t leaf = 4; leaf-- > 0;) {
        assert_ok(put(item, bytes, size, leaf, &is_new));
        assert_true(is_new);
        assert_ok(put(item, bytes, size, leaf, &is_new));
        assert_false(is_new);
    }
    assert_int_equal(sh_store_item_next_missing(item, 0), 4);
    assert_cause(put_hashed(item, 4, SH_BYTES(bytes, 9), hash, &is_new), SH_INTERNAL_BUG);
    assert_cause(put_hashed(item, 3, SH_BYTES(bytes, 8), hash, &is_new), SH_INTERNAL_BUG);
    assert_cause(put_hashed(item, 0, SH_BYTES(bytes, 0), hash, &is_new), SH_INTERNAL_BUG);
    finish(item, bytes, size);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

static void test_resume(void **state SH_UNUSED)
{
    const size_t size = 40 * SH_LEAF_SIZE + 1;
    uint8_t *bytes = content(2, size);
    unsigned sent = 0;
    for (int session = 0; session < 5; session++) {
        struct sh_store *store = open_store();
        struct sh_store_item *item = open_item(store, size);
        assert_int_equal(sh_store_item_verified(item), (uint64_t)sent * SH_LEAF_SIZE);
        sent += fill(item, bytes, size, session < 4 ? 10 : UINT32_MAX);
        if (session == 2) { /* at rest and awake again it is the same */
            sh_store_item_rest(item);
            assert_int_equal(sh_store_item_next_missing(item, 0), 0);
            assert_ok(sh_store_item_wake(item));
            assert_int_equal(sh_store_item_next_missing(item, 0), sent);
        }
        if (session == 4)
            finish(item, bytes, size);
        sh_store_item_close(item);
        sh_store_close(store);
    }
    assert_int_equal(sent, sh_leaf_count(size));
    free(bytes);
}

/* Killed between any two system calls: the kernel has what was written until then. */
static void test_killed(void **state SH_UNUSED)
{
    const size_t size = 20 * SH_LEAF_SIZE;
    uint8_t *bytes = content(2, size);
    pid_t child = fork();
    if (child == 0) {
        struct sh_store *store = open_store();
        struct sh_store_item *item = open_item(store, size);
        if (fill(item, bytes, size, 7) == 7)
            raise(SIGKILL);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size);
    assert_int_equal(fill(item, bytes, size, UINT32_MAX), 13);
    finish(item, bytes, size);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

/* Leaves 0 .. 9 of 20 are there. */
static uint8_t *begin(size_t size)
{
    uint8_t *bytes = content(3, size);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size);
    fill(item, bytes, size, 10);
    sh_store_item_close(item);
    sh_store_close(store);
    return bytes;
}

static void damage_magic(void)
{
    write_at(leaves, 0, "x", 1);
}

static void damage_size(void)
{
    write_at(leaves, 23, "\x01", 1);
}

static void damage_cut(void)
{
    assert_int_equal(truncate(leaves, HEADER + 5 * RECORD), 0);
}

static void damage_longer(void)
{
    assert_int_equal(truncate(leaves, HEADER + 21 * RECORD), 0);
}

static void damage_empty(void)
{
    assert_int_equal(truncate(leaves, 0), 0);
}

static void damage_removed(void)
{
    assert_int_equal(unlink(leaves), 0);
}

static void damage_part_removed(void)
{
    assert_int_equal(unlink(part), 0);
}

static void damage_part_cut(void)
{
    assert_int_equal(truncate(part, 100), 0);
}

static void damage_flag(void)
{
    write_at(leaves, HEADER + 3 * RECORD, "\x02", 1);
}

/* As after a power cut: another boot, and the data of leaf 4 did not reach the disk. */
static void damage_boot(void)
{
    write_at(leaves, 24, "another boot id.", 16);
    write_at(part, 4 * SH_LEAF_SIZE + 100, "damage", 6);
}

static void damage_boot_hash(void)
{
    write_at(leaves, 24, "another boot id.", 16);
    write_at(leaves, HEADER + 4 * RECORD + 5, "damage", 6);
}

static void damage_boot_only(void)
{
    write_at(leaves, 24, "another boot id.", 16);
}

/* What is damaged is fetched again, and nothing else. */
static void test_damaged(void **state SH_UNUSED)
{
    static const struct {
        void (*damage)(void);
        unsigned missing;
    } table[] = {
        {damage_magic, 20}, {damage_size, 20},    {damage_cut, 20},          {damage_longer, 20},
        {damage_empty, 20}, {damage_removed, 20}, {damage_part_removed, 20}, {damage_part_cut, 20},
        {damage_flag, 11},  {damage_boot, 11},    {damage_boot_hash, 11},    {damage_boot_only, 10},
    };
    const size_t size = 20 * SH_LEAF_SIZE;
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        uint8_t *bytes = begin(size);
        table[i].damage();
        struct sh_store *store = open_store();
        struct sh_store_item *item = open_item(store, size);
        sh_store_item_rest(item); /* what was found stays found */
        assert_ok(sh_store_item_wake(item));
        assert_int_equal(fill(item, bytes, size, UINT32_MAX), table[i].missing);
        finish(item, bytes, size);
        sh_store_item_close(item);
        sh_store_close(store);
        assert_int_equal(unlink(target), 0);
        free(bytes);
    }
}

static void test_other_size(void **state SH_UNUSED)
{
    static const size_t sizes[] = {20 * SH_LEAF_SIZE - 1, 20 * SH_LEAF_SIZE + 1, 0,
                                   5 * SH_LEAF_SIZE};
    for (size_t i = 0; i < SH_COUNT(sizes); i++) {
        free(begin(20 * SH_LEAF_SIZE));
        uint8_t *bytes = content(9, sizes[i]);
        struct sh_store *store = open_store();
        struct sh_store_item *item = open_item(store, sizes[i]);
        assert_int_equal(sh_store_item_verified(item), 0);
        fill(item, bytes, sizes[i], UINT32_MAX);
        finish(item, bytes, sizes[i]);
        sh_store_item_close(item);
        sh_store_close(store);
        assert_int_equal(unlink(target), 0);
        free(bytes);
    }
}

/* Things that are not files of ours are neither followed nor touched. */
static void test_planted(void **state SH_UNUSED)
{
    struct sh_store_item *item = NULL;
    char outside[PATH_SIZE + 16];
    snprintf(outside, sizeof(outside), "%s/outside", folder);
    for (int what = 0; what < 6; what++) {
        const char *victim = what % 2 ? part : leaves;
        remove_tree(in_folder(folder, ".simhop"));
        assert_int_equal(mkdir(in_folder(folder, ".simhop"), 0700), 0);
        write_file(outside, "precious", 8);
        if (what < 2)
            assert_int_equal(symlink(outside, victim), 0);
        else if (what < 4)
            assert_int_equal(mkdir(victim, 0700), 0);
        else
            assert_int_equal(link(outside, victim), 0);
        struct sh_store *store = open_store();
        assert_cause(sh_store_item_open(store, id, "item", 100, false, &item), SH_STORE_DAMAGED);
        sh_store_close(store);
        assert_true(file_is(outside, (const uint8_t *)"precious", 8));
        assert_false(exists(target));
    }
    remove_tree(in_folder(folder, ".simhop"));
    assert_int_equal(symlink("/tmp", in_folder(folder, ".simhop")), 0);
    struct sh_store *store = open_store();
    assert_cause(sh_store_item_open(store, id, "item", 100, false, &item), SH_STORE_DAMAGED);
    sh_store_close(store);
    assert_null(item);
}

static void test_busy(void **state SH_UNUSED)
{
    const size_t size = 3 * SH_LEAF_SIZE;
    uint8_t *bytes = content(1, size);
    struct sh_store *first = open_store(), *second = open_store();
    struct sh_store_item *item = open_item(first, size), *other = NULL;
    assert_cause(sh_store_item_open(second, id, "item", size, false, &other), SH_STORE_BUSY);
    fill(item, bytes, size, 1);
    sh_store_item_rest(item); /* now the other one may */
    other = open_item(second, size);
    assert_cause(sh_store_item_wake(item), SH_STORE_BUSY);
    fill(other, bytes, size, UINT32_MAX);
    finish(other, bytes, size);
    sh_store_item_close(other);
    assert_cause(sh_store_item_wake(item), SH_STORE_TARGET_EXISTS);
    sh_store_item_close(item);
    sh_store_close(second);
    sh_store_close(first);
    assert_true(file_is(target, bytes, size));
    assert_int_equal(count_entries(folder), 1);
    free(bytes);
}

/* While one works the other's store is closed and so tries to remove the folder. */
static void test_folder_comes_and_goes(void **state SH_UNUSED)
{
    struct sh_store *first = open_store(), *second = open_store();
    struct sh_store_item *item = open_item(first, 10);
    sh_store_item_close(item);
    item = open_item(second, 10);
    sh_store_item_close(item);
    sh_store_close(first); /* removes it */
    assert_false(exists(in_folder(folder, ".simhop")));
    item = open_item(second, 10);
    assert_true(exists(part));
    sh_store_item_close(item);
    sh_store_close(second);
    assert_int_equal(count_entries(folder), 0);
}

static void test_target_exists(void **state SH_UNUSED)
{
    const size_t size = 2 * SH_LEAF_SIZE;
    uint8_t *bytes = content(1, size), root[32];
    struct sh_store *store = open_store();
    struct sh_store_item *item = NULL;
    char *path = NULL;
    reference_root(bytes, size, root);
    write_file(target, "old", 3);
    assert_cause(sh_store_item_open(store, id, "item", size, false, &item), SH_STORE_TARGET_EXISTS);
    assert_int_equal(count_entries(folder), 1);
    unlink(target);
    item = open_item(store, size); /* somebody makes it meanwhile */
    fill(item, bytes, size, UINT32_MAX);
    write_file(target, "new", 3);
    assert_cause(finish_item(item, root, &path), SH_STORE_TARGET_EXISTS);
    assert_null(path);
    assert_true(file_is(target, (const uint8_t *)"new", 3));
    sh_store_item_close(item);
    unlink(target); /* what was received is kept */
    item = open_item(store, size);
    finish(item, bytes, size);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

static void test_replace(void **state SH_UNUSED)
{
    const size_t size = 100;
    uint8_t *bytes = content(1, size);
    struct sh_store *store = open_store();
    struct sh_store_item *item = NULL;
    write_file(target, "old", 3);
    assert_ok(sh_store_item_open(store, id, "item", size, true, &item));
    fill(item, bytes, size, UINT32_MAX);
    assert_true(file_is(target, (const uint8_t *)"old", 3));
    finish(item, bytes, size);
    sh_store_item_close(item);
    unlink(target);
    assert_int_equal(mkdir(target, 0700), 0); /* a folder is never replaced */
    assert_cause(sh_store_item_open(store, id, "item", size, true, &item), SH_STORE_TARGET_EXISTS);
    sh_store_close(store);
    free(bytes);
}

static void test_root_mismatch(void **state SH_UNUSED)
{
    const size_t size = 3 * SH_LEAF_SIZE;
    uint8_t *bytes = content(1, size), wrong[32] = {1};
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size);
    char *path = NULL;
    fill(item, bytes, size, 2);
    assert_cause(finish_item(item, wrong, &path), SH_INTERNAL_BUG); /* one is missing */
    fill(item, bytes, size, 1);
    assert_cause(finish_item(item, wrong, &path), SH_TRANSFER_ROOT_MISMATCH);
    assert_null(path);
    assert_false(exists(target));
    assert_int_equal(sh_store_item_verified(item), 0);
    sh_store_item_close(item);
    item = open_item(store, size); /* fetched anew */
    assert_int_equal(fill(item, bytes, size, UINT32_MAX), 3);
    finish(item, bytes, size);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

/* A first piece that comes late, by a slower link, does not leave the whole to be read again in the end. */
static void test_catches_up(void **state SH_UNUSED)
{
    const size_t size = 20 * SH_LEAF_SIZE;
    uint8_t *bytes = content(1, size);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size);
    enum sh_store_state found = SH_STORE_MORE;
    bool is_new = false;
    for (uint64_t leaf = 1; leaf < 10; leaf++)
        assert_ok(put(item, bytes, size, leaf, &is_new));
    assert_ok(put(item, bytes, size, 0, &is_new)); /* by the slow link */
    fill(item, bytes, size, UINT32_MAX);
    assert_ok(sh_store_item_work(item, 0, &found)); /* nothing is left to be read */
    assert_int_equal(found, SH_STORE_READY);
    finish(item, bytes, size);
    sh_store_item_close(item);
    sh_store_close(store);
    free(bytes);
}

/* What a kill leaves behind: a journal whose data got its name already, and begun items of which one is being worked on. */
static void test_sweep(void **state SH_UNUSED)
{
    static const uint8_t other_id[SH_ITEM_ID_SIZE] = {0x77};
    const size_t size = 3 * SH_LEAF_SIZE;
    uint8_t *bytes = content(1, size);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size), *other = NULL;
    bool is_new = false;
    fill(item, bytes, size, 1);
    sh_store_item_close(item);
    assert_ok(sh_store_item_open(store, other_id, "other", size, false, &other));
    assert_ok(put(other, bytes, size, 0, &is_new));
    write_file(in_folder(folder, ".simhop/00112233445566778899aabbccddeeff.leaves"), "x", 1);
    write_file(in_folder(folder, ".simhop/notes"), "x", 1);
    sh_store_sweep(folder, false);
    assert_int_equal(count_entries(in_folder(folder, ".simhop")), 5);
    assert_true(exists(part) && exists(leaves));
    assert_false(exists(in_folder(folder, ".simhop/00112233445566778899aabbccddeeff.leaves")));
    sh_store_sweep(folder, true); /* but for what is worked on, and what is not ours */
    assert_int_equal(count_entries(in_folder(folder, ".simhop")), 3);
    assert_false(exists(part) || exists(leaves));
    sh_store_item_close(other);
    unlink(in_folder(folder, ".simhop/notes"));
    sh_store_sweep(folder, true);
    assert_false(exists(in_folder(folder, ".simhop")));
    sh_store_sweep(folder, true);
    sh_store_sweep("/nonexistent", true);
    sh_store_close(store);
    free(bytes);
}

static void test_bad_arguments(void **state SH_UNUSED)
{
    struct sh_store *store = open_store();
    struct sh_store_item *item = NULL;
    assert_cause(sh_store_item_open(store, id, "../up", 1, false, &item), SH_STORE_BAD_NAME);
    assert_cause(sh_store_item_open(store, id, "item", UINT64_MAX, false, &item),
                 SH_STORE_NO_SPACE);
    assert_cause(sh_store_item_open(store, id, "item", SH_ITEM_SIZE_MAX, false, &item),
                 SH_STORE_NO_SPACE);
    sh_store_close(store);
    assert_int_equal(count_entries(folder), 0);
    struct sh_store *none = NULL;
    write_file(target, "x", 1);
    assert_true(sh_store_open(target, &none) != SH_OK);
    assert_ok(sh_store_open(in_folder(folder, "new"), &none));
    struct stat st;
    assert_int_equal(stat(in_folder(folder, "new"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    sh_store_close(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sizes),         TEST(test_reserves),
        TEST(test_put),           TEST(test_resume),
        TEST(test_killed),        TEST(test_damaged),
        TEST(test_other_size),    TEST(test_planted),
        TEST(test_busy),          TEST(test_folder_comes_and_goes),
        TEST(test_target_exists), TEST(test_replace),
        TEST(test_root_mismatch), TEST(test_bad_arguments),
        TEST(test_sweep),         TEST(test_catches_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
