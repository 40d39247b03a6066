/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A store in a folder of its own, and an item to put into it: for test_store.c and test_store_disk.c.
 */
#ifndef SIMHOP_TESTS_UNIT_TRANSFER_STORE_FOLDER_H
#define SIMHOP_TESTS_UNIT_TRANSFER_STORE_FOLDER_H

#include "transfer/leaf.h"
#include "transfer/store.h"
#include "unit/transfer/util.h"

#define MIB 1048576u

static SH_UNUSED const uint8_t id[SH_ITEM_ID_SIZE] = {0x01, 0x23, 0x45, 0x67,
                                                      0x89, 0xab, 0xcd, 0xef};
#define HEX "0123456789abcdef0000000000000000"

static SH_UNUSED char folder[PATH_SIZE], target[PATH_SIZE + 8], part[PATH_SIZE + 64],
    leaves[PATH_SIZE + 64];

static SH_UNUSED int set_up(void **state SH_UNUSED)
{
    make_folder(folder);
    snprintf(target, sizeof(target), "%s/item", folder);
    snprintf(part, sizeof(part), "%s/.simhop/" HEX ".part", folder);
    snprintf(leaves, sizeof(leaves), "%s/.simhop/" HEX ".leaves", folder);
    return 0;
}

static SH_UNUSED int tear_down(void **state SH_UNUSED)
{
    remove_tree(folder);
    return 0;
}

static SH_UNUSED struct sh_store *open_store(void)
{
    struct sh_store *store = NULL;
    assert_ok(sh_store_open(folder, &store));
    return store;
}

static SH_UNUSED struct sh_store_item *open_item(struct sh_store *store, uint64_t size)
{
    struct sh_store_item *item = NULL;
    assert_ok(sh_store_item_open(store, id, "item", size, false, &item));
    return item;
}

/* Puts a leaf and waits for what becomes of it, if anything does. */
static SH_UNUSED enum sh_cause put_hashed(struct sh_store_item *item, uint64_t leaf,
                                          struct sh_bytes data, const uint8_t hash[32],
                                          bool *ret_new)
{
    static const struct sh_store_from from = {.link = 7, .kind = 2};
    struct sh_store_news news;
    *ret_new = false;
    SH_TRY(sh_store_item_put(item, leaf, data, hash, &from));
    while (sh_store_item_is_behind(item)) {
        if (!sh_store_item_take(item, &news))
            continue;
        SH_TRY(news.cause);
        assert_int_equal(news.leaf, leaf);
        assert_int_equal(news.octets, data.n);
        assert_int_equal(news.from.link, 7);
        assert_int_equal(news.from.kind, 2);
        *ret_new = true;
    }
    return SH_OK;
}

static SH_UNUSED enum sh_cause put(struct sh_store_item *item, const uint8_t *bytes, size_t size,
                                   uint64_t leaf, bool *ret_new)
{
    uint8_t hash[32];
    struct sh_bytes data = SH_BYTES(bytes + leaf * SH_LEAF_SIZE, sh_leaf_length(size, leaf));
    assert_ok(sh_leaf_hash(data, hash));
    return put_hashed(item, leaf, data, hash, ret_new);
}

/* Puts what is missing, at most `most` leaves; returns how many. */
static SH_UNUSED unsigned fill(struct sh_store_item *item, const uint8_t *bytes, size_t size,
                               unsigned most)
{
    unsigned count = 0;
    uint64_t end = sh_leaf_count(size);
    for (uint64_t leaf = sh_store_item_next_missing(item, 0); leaf < end && count < most;
         leaf = sh_store_item_next_missing(item, leaf + 1)) {
        bool is_new = false;
        assert_false(sh_store_item_has(item, leaf));
        assert_ok(put(item, bytes, size, leaf, &is_new));
        assert_true(is_new && sh_store_item_has(item, leaf));
        count++;
    }
    return count;
}

/* All that is left to do with an item whose leaves are there. *ret_path is malloc'ed. */
static SH_UNUSED enum sh_cause finish_item(struct sh_store_item *item, const uint8_t root[32],
                                           char **ret_path)
{
    enum sh_store_state state = SH_STORE_MORE;
    struct sh_store_sealed sealed = {0};
    while (state == SH_STORE_MORE)
        SH_TRY(sh_store_item_work(item, 3, &state));
    SH_TRY(sh_store_item_seal(item, root, &sealed));
    enum sh_cause cause = sh_store_item_publish(item);
    if (cause == SH_OK)
        *ret_path = sealed.path;
    else
        free(sealed.path);
    return cause;
}

static SH_UNUSED void finish(struct sh_store_item *item, const uint8_t *bytes, size_t size)
{
    uint8_t root[32], sha[32];
    const struct sh_bytes all = SH_BYTES(bytes, size);
    char *path = NULL;
    struct stat st;
    reference_root(bytes, size, root);
    assert_int_equal(sh_store_item_verified(item), size);
    assert_ok(finish_item(item, root, &path));
    assert_string_equal(path, target);
    assert_true(file_is(target, bytes, size));
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(sh_sha256(&all, 1, sha));
    assert_memory_equal(sh_store_item_sha256(item), sha, 32);
    free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
