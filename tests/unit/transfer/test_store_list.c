/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told of an item that is on its way in, and how it is given up. */
#include "transfer/store_list.h"

#include <errno.h>

#include "unit/transfer/store_folder.h"

static const uint8_t other_id[SH_ITEM_ID_SIZE] = {0xee};

static struct sh_store_look look_at(uint64_t size)
{
    struct sh_store_look look = {.there = true, .verified = 77};
    assert_ok(sh_store_look(folder, id, size, &look));
    return look;
}

/* What the store itself says is what is told, while it works and after. */
static void test_looks(void **state SH_UNUSED)
{
    const size_t size =
        2000 * SH_LEAF_SIZE + 9; /* more than one read of records, and a short last leaf */
    uint8_t *bytes = content(1, size);
    bool is_new = false;
    assert_false(look_at(size).there);
    struct sh_store *store = open_store();
    struct sh_store_item *item = open_item(store, size);
    assert_true(look_at(size).there);
    assert_int_equal(look_at(size).verified, 0);
    assert_int_equal(fill(item, bytes, size, 30), 30);
    assert_int_equal(look_at(size).verified, 30 * SH_LEAF_SIZE);
    assert_ok(put(item, bytes, size, 1500, &is_new));
    assert_ok(put(item, bytes, size, 2000, &is_new));
    assert_int_equal(look_at(size).verified, 31 * SH_LEAF_SIZE + 9);
    sh_store_item_close(item);
    sh_store_close(store);
    assert_true(look_at(size).there);
    assert_int_equal(look_at(size).verified, 31 * SH_LEAF_SIZE + 9);
    /* Looking took nothing away and holds nothing. */
    store = open_store();
    item = open_item(store, size);
    assert_int_equal(sh_store_item_verified(item), 31 * SH_LEAF_SIZE + 9);
    fill(item, bytes, size, UINT32_MAX);
    finish(item, bytes, size);
    sh_store_item_close(item);
    sh_store_close(store);
    assert_false(look_at(size).there);
    free(bytes);
}

static struct sh_store *keep_some(const uint8_t *bytes, size_t size,
                                  struct sh_store_item **ret_item)
{
    struct sh_store *store = open_store();
    *ret_item = open_item(store, size);
    fill(*ret_item, bytes, size, 2);
    return store;
}

static void test_what_does_not_count(void **state SH_UNUSED)
{
    const size_t size = 5 * SH_LEAF_SIZE;
    uint8_t *bytes = content(2, size);
    struct sh_store_item *item = NULL;
    struct sh_store *store = keep_some(bytes, size, &item);
    struct sh_store_look look;
    sh_store_item_close(item);
    sh_store_close(store);
    assert_int_equal(look_at(size).verified, 2 * SH_LEAF_SIZE);
    assert_true(look_at(size - 1).there); /* another size: it would be begun anew */
    assert_int_equal(look_at(size - 1).verified, 0);
    assert_ok(sh_store_look(folder, other_id, size, &look));
    assert_false(look.there);
    assert_ok(sh_store_look("/nowhere/at/all", id, size, &look));
    assert_false(look.there);
    assert_int_equal(truncate(part, size - 1), 0);
    assert_int_equal(look_at(size).verified, 0);
    assert_int_equal(truncate(part, size), 0);
    assert_int_equal(look_at(size).verified, 2 * SH_LEAF_SIZE);
    FILE *file = fopen(leaves, "r+e"); /* not a journal any more, by its first octet */
    assert_non_null(file);
    fputc('S', file);
    fclose(file);
    assert_int_equal(look_at(size).verified, 0);
    write_file(leaves, "junk", 4);
    assert_int_equal(look_at(size).verified, 0);
    assert_int_equal(unlink(part), 0);
    assert_false(look_at(size).there);
    free(bytes);
}

static void test_drops(void **state SH_UNUSED)
{
    const size_t size = 5 * SH_LEAF_SIZE;
    uint8_t *bytes = content(3, size);
    struct sh_store_item *item = NULL, *other = NULL;
    assert_ok(sh_store_drop(folder, id, size)); /* nothing is there */
    assert_int_equal(count_entries(folder), 0);
    struct sh_store *store = keep_some(bytes, size, &item);
    assert_ok(sh_store_item_open(store, other_id, "other", size, false, &other));
    fill(other, bytes, size, 1);
    assert_cause(sh_store_drop(folder, id, size), SH_STORE_BUSY);
    assert_int_equal(look_at(size).verified, 2 * SH_LEAF_SIZE);
    sh_store_item_close(item);
    sh_store_item_close(other);
    sh_store_close(store);
    assert_ok(sh_store_drop(folder, id, size));
    assert_false(exists(part) || exists(leaves));
    struct sh_store_look look;
    assert_ok(sh_store_look(folder, other_id, size, &look)); /* that of another stays */
    assert_int_equal(look.verified, SH_LEAF_SIZE);
    assert_ok(sh_store_drop(folder, other_id, size));
    assert_int_equal(count_entries(folder), 0);
    free(bytes);
}

/* While an item in which nothing is yet was at rest somebody else took it on: that is not ours to remove. */
static void test_taken_on_meanwhile(void **state SH_UNUSED)
{
    const size_t size = 20 * SH_LEAF_SIZE;
    uint8_t *bytes = content(1, size);
    struct sh_store *ours = open_store(), *theirs = open_store();
    struct sh_store_item *resting = open_item(ours, size);
    sh_store_item_rest(resting);
    struct sh_store_item *item = open_item(theirs, size);
    assert_int_equal(fill(item, bytes, size, 5), 5);
    sh_store_item_close(item);
    sh_store_item_close(resting);
    assert_int_equal(look_at(size).verified, 5 * SH_LEAF_SIZE);
    sh_store_close(theirs);
    sh_store_close(ours);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_looks),
        TEST(test_what_does_not_count),
        TEST(test_drops),
        TEST(test_taken_on_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
