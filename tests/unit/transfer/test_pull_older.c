/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An item that changed since an older copy of it came: what is still the same is not sent. */
#include "unit/transfer/pair.h"

#define FAST 30000 /* octets a millisecond */
#define NAME "item"
#define N    600 /* leaves: the hashes come in two messages */
#define SIZE ((size_t)N * SH_LEAF_SIZE)

static struct pair pair;
static uint8_t *old;

static int make_old(void **state SH_UNUSED)
{
    old = content(77, SIZE);
    return 0;
}

static int free_old(void **state SH_UNUSED)
{
    free(old);
    return 0;
}

static int set_up(void **state SH_UNUSED)
{
    pair_begin(&pair);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    pair_end(&pair);
    return 0;
}

/* The secondary has `size` octets of the old content under the item's name, where the new one goes. */
static void old_copy(size_t size)
{
    snprintf(pair.older[0], sizeof(pair.older[0]), "%s/" NAME, pair.folder);
    write_file(pair.older[0], old, size);
    pair.replace = true;
}

/* The anchor has `size` octets of the old content. The caller changes what it likes before share. */
static uint8_t *new_content(size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memcpy(bytes, old, size);
    return bytes;
}

static void share(uint8_t *bytes, size_t size)
{
    pair_item_of(&pair, NAME, bytes, size);
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
}

static void check_pulled(uint64_t octets)
{
    pair_check_done(&pair);
    assert_int_equal(sh_puller_bytes(pair.puller, LAN), octets);
    assert_int_equal(sh_puller_resumed(pair.puller), pair_total(&pair) - octets);
    assert_true(file_is(in_folder(pair.folder, NAME), pair.contents[0], pair.sizes[0]));
}

static void change_one_octet(uint8_t *bytes)
{
    bytes[300 * SH_LEAF_SIZE + 5] ^= 1;
}

static void test_one_octet(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    old_copy(SIZE);
    change_one_octet(bytes);
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    check_pulled(SH_LEAF_SIZE);
    assert_int_equal(pair.seen[SH_MSG_LEAF], 1);
    assert_int_equal(pair.seen[SH_MSG_LEAF_HASHES], 2);
    assert_int_equal(pair.seen[SH_MSG_ROOT], 1);
}

/* In the midst of a leaf, so that the last one of both grows. */
static void test_appended(void **state SH_UNUSED)
{
    size_t before = 100 * SH_LEAF_SIZE + 5, after = 103 * SH_LEAF_SIZE + 1;
    old_copy(before);
    uint8_t *bytes = new_content(after);
    bytes[before] ^= 1;
    share(bytes, after);
    assert_true(pair_run(&pair, 5000));
    check_pulled(after - 100 * SH_LEAF_SIZE);
}

static void test_cut(void **state SH_UNUSED)
{
    old_copy(SIZE);
    share(new_content(100 * SH_LEAF_SIZE + 5), 100 * SH_LEAF_SIZE + 5);
    assert_true(pair_run(&pair, 5000));
    check_pulled(0);
    assert_int_equal(pair.seen[SH_MSG_PULL], 0);
}

/* Everything else: all of it is pulled. */
static void test_nothing_the_same(void **state SH_UNUSED)
{
    old_copy(SIZE);
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)~old[i];
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 20000));
    check_pulled(SIZE);
}

/* The old copy is not what it was, nobody knows since when: what was read just now counts. */
static void test_old_copy_is_touched(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    old_copy(SIZE);
    write_at(pair.older[0], 7 * SH_LEAF_SIZE + 9, "mine", 4);
    assert_int_equal(truncate(pair.older[0], SIZE - 1), 0);
    change_one_octet(bytes);
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    check_pulled(3 * SH_LEAF_SIZE);
}

/* It goes away while it is looked at, or is something that must not be opened. */
static void test_old_copy_is_none(void **state SH_UNUSED)
{
    snprintf(pair.older[0], sizeof(pair.older[0]), "%s/fifo", pair.folder);
    assert_int_equal(mkfifo(pair.older[0], 0600), 0);
    snprintf(pair.older[1], sizeof(pair.older[1]), "%s/nothing", pair.folder);
    share(new_content(40 * SH_LEAF_SIZE), 40 * SH_LEAF_SIZE);
    assert_true(pair_run(&pair, 5000));
    check_pulled(40 * SH_LEAF_SIZE);
}

static void test_few_leaves(void **state SH_UNUSED)
{
    old_copy(SIZE);
    share(new_content(4 * SH_LEAF_SIZE - 1), 4 * SH_LEAF_SIZE - 1);
    assert_true(pair_run(&pair, 5000));
    check_pulled(4 * SH_LEAF_SIZE - 1);
    assert_int_equal(pair.seen[SH_MSG_LEAF_HASHES_REQUEST], 0);
}

static void test_anchor_does_not_know(void **state SH_UNUSED)
{
    old_copy(SIZE);
    pair.knows_not = true;
    share(new_content(SIZE), SIZE);
    assert_true(pair_run(&pair, 20000));
    check_pulled(SIZE);
    assert_int_equal(pair.seen[SH_MSG_LEAF_HASHES_REQUEST], 0);
}

static enum fate no_hashes(struct pair *p SH_UNUSED, enum to to SH_UNUSED,
                           sh_link_id link SH_UNUSED, unsigned type)
{
    return type == SH_MSG_LEAF_HASHES ? LOSE : PASS;
}

static void test_anchor_does_not_answer(void **state SH_UNUSED)
{
    old_copy(SIZE);
    pair.fate = no_hashes;
    share(new_content(SIZE), SIZE);
    assert_true(pair_run(&pair, 40000));
    check_pulled(SIZE);
    assert_int_equal(pair.seen[SH_MSG_LEAF_HASHES_REQUEST], 3);
}

static unsigned fate_type;
static enum fate fate_wanted;

static enum fate first_of_type(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                               unsigned type)
{
    return type == fate_type && p->seen[type] == 1 ? fate_wanted : PASS;
}

static void test_lost_and_doubled(void **state SH_UNUSED)
{
    static const struct {
        unsigned type;
        enum fate fate;
    } table[] = {
        {SH_MSG_LEAF_HASHES_REQUEST, LOSE},   {SH_MSG_LEAF_HASHES, LOSE},   {SH_MSG_ROOT, LOSE},
        {SH_MSG_LEAF_HASHES_REQUEST, DOUBLE}, {SH_MSG_LEAF_HASHES, DOUBLE},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        fate_type = table[i].type;
        fate_wanted = table[i].fate;
        pair.fate = first_of_type;
        uint8_t *bytes = new_content(SIZE);
        old_copy(SIZE);
        change_one_octet(bytes);
        share(bytes, SIZE);
        assert_true(pair_run(&pair, 10000));
        check_pulled(SH_LEAF_SIZE);
        pair_stop(&pair);
        pair_drop_items(&pair);
    }
}

static enum fate lose_second_hashes(struct pair *p, enum to to SH_UNUSED, sh_link_id link SH_UNUSED,
                                    unsigned type)
{
    return type == SH_MSG_LEAF_HASHES && p->seen[type] == 2 ? LOSE : PASS;
}

static uint64_t most_left;

static void watch_left(struct pair *p)
{
    most_left = SH_MAX(most_left, sh_puller_left(p->puller));
}

/* What differs comes while the anchor has not said yet what is behind it. */
static void test_first_pieces(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    old_copy(SIZE);
    memset(bytes + SH_LEAF_SIZE, 7, 2 * SH_LEAF_SIZE);
    memset(bytes + 599 * SH_LEAF_SIZE, 7, SH_LEAF_SIZE);
    pair.fate = lose_second_hashes;
    pair.event = watch_left;
    most_left = 0;
    share(bytes, SIZE);
    assert_false(pair_run(&pair, SH_MANIFEST_MS - 1000));
    assert_int_equal(sh_puller_bytes(pair.puller, LAN), 2 * SH_LEAF_SIZE);
    assert_int_equal(sh_puller_resumed(pair.puller), 510 * SH_LEAF_SIZE);
    assert_int_equal(sh_puller_left(pair.puller), 0); /* as far as is known */
    assert_int_equal(most_left, 2 * SH_LEAF_SIZE);
    assert_int_equal(pair.seen[SH_MSG_ROOT], 0);
    assert_true(pair_run(&pair, 5000));
    check_pulled(3 * SH_LEAF_SIZE);
}

/* The first message of this type comes with its last octet bent; but for that nothing differs. */
static void share_bent(unsigned type)
{
    fate_type = type;
    fate_wanted = BEND;
    pair.fate = first_of_type;
    old_copy(SIZE);
    share(new_content(SIZE), SIZE);
}

/* A hash that is wrong is that of no older piece: what it belongs to is pulled. */
static void test_hash_is_wrong(void **state SH_UNUSED)
{
    share_bent(SH_MSG_LEAF_HASHES);
    assert_true(pair_run(&pair, 5000));
    check_pulled(SH_LEAF_SIZE);
}

/* What was taken over does not have the root: nothing gets the name, and what stood there stays. */
static void test_root_is_wrong(void **state SH_UNUSED)
{
    share_bent(SH_MSG_ROOT);
    assert_true(pair_run(&pair, 10000));
    assert_true(pair.over);
    assert_cause(pair.result, SH_TRANSFER_ROOT_MISMATCH);
    assert_true(file_is(pair.older[0], old, SIZE));
    pair_stop(&pair);
    pair_drop_items(&pair);
    assert_false(exists(in_folder(pair.folder, ".simhop"))); /* nothing is verified any more */
}

static uint64_t stop_at;

static void stop_when_some_is_here(struct pair *p)
{
    p->stop = sh_puller_resumed(p->puller) >= stop_at;
}

/* Killed while it takes over: the old copy is whole, the next session goes on. */
static void test_cut_off(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    old_copy(SIZE);
    change_one_octet(bytes);
    stop_at = 100 * SH_LEAF_SIZE;
    pair.event = stop_when_some_is_here;
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    assert_true(pair.stop && !pair.over);
    uint64_t kept = sh_puller_resumed(pair.puller);
    assert_true(kept < SIZE / 2); /* the loop is given back in between */
    pair_stop(&pair);
    assert_true(file_is(pair.older[0], old, SIZE));
    pair.event = NULL;
    write_at(pair.older[0], 0, "other", 5); /* that piece is here */
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 5000));
    check_pulled(SH_LEAF_SIZE);
}

static void hex_part(char *out, size_t size, const uint8_t id[SH_ITEM_ID_SIZE])
{
    char hex[2 * SH_ITEM_ID_SIZE + 1];
    sh_hex(id, SH_ITEM_ID_SIZE, hex);
    snprintf(out, size, "%s/.simhop/%s.part", pair.folder, hex);
}

static void stop_at_leaves(struct pair *p)
{
    p->stop = pair_bytes(p) >= stop_at;
}

/* Some pieces are here before an older copy is: what of that is compared does not run ahead of the hashes. */
static void test_copy_comes_later(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    change_one_octet(bytes);
    stop_at = 5 * SH_LEAF_SIZE;
    pair.event = stop_at_leaves;
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    uint64_t kept = pair_bytes(&pair);
    assert_true(kept < SIZE / 2 && kept / SH_LEAF_SIZE % 32 != 0); /* looked at together */
    pair_stop(&pair);
    old_copy(SIZE);
    pair.event = NULL;
    pair.fate = lose_second_hashes;
    pair_start(&pair);
    pair_link_up(&pair, LAN, 0, FAST, 1);
    assert_true(pair_run(&pair, 10000));
    check_pulled(SH_LEAF_SIZE);
}

/* The source changed while it was sent: the pieces of the old state are no item's any more, and of use all the same. */
static void test_pieces_of_another_state(void **state SH_UNUSED)
{
    stop_at = 300 * SH_LEAF_SIZE;
    pair.event = stop_at_leaves;
    share(new_content(SIZE), SIZE);
    assert_true(pair_run(&pair, 5000));
    uint64_t kept = pair_bytes(&pair);
    assert_true(pair.stop && kept < SIZE);
    hex_part(pair.older[0], sizeof(pair.older[0]), sh_item_id(pair.items[0]));
    pair_stop(&pair);
    pair_drop_items(&pair);
    pair.event = NULL;
    uint8_t *bytes = new_content(SIZE);
    bytes[5] ^= 1;
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    assert_true(pair.over);
    assert_cause(pair.result, SH_OK);
    assert_int_equal(sh_puller_bytes(pair.puller, LAN), SIZE - kept + SH_LEAF_SIZE);
    assert_int_equal(sh_puller_resumed(pair.puller), kept - SH_LEAF_SIZE);
    assert_true(file_is(in_folder(pair.folder, NAME), bytes, SIZE));
    assert_true(exists(pair.older[0])); /* that is for the person to give up */
}

/* Two copies: what is in one of them is not sent. */
static void test_two_copies(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    memset(bytes + 10 * SH_LEAF_SIZE, 7, 20 * SH_LEAF_SIZE);
    old_copy(SIZE);
    snprintf(pair.older[1], sizeof(pair.older[1]), "%s/second", pair.folder);
    write_file(pair.older[1], bytes, 25 * SH_LEAF_SIZE);
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    check_pulled(5 * SH_LEAF_SIZE);
}

static void link_dies(struct pair *p)
{
    if (p->seen[SH_MSG_LEAF_HASHES] != 1 || p->link_count != 1)
        return;
    pair_link_down(p, 1);
    pair_link_up(p, LAN, 0, FAST, 1);
}

static void test_link_dies(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    old_copy(SIZE);
    change_one_octet(bytes);
    pair.event = link_dies;
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    check_pulled(SH_LEAF_SIZE);
    assert_int_equal(pair.link_count, 2);
}

/* What was not compared yet is not known to be left. */
static void test_left(void **state SH_UNUSED)
{
    uint8_t *bytes = new_content(SIZE);
    old_copy(SIZE);
    change_one_octet(bytes);
    pair.event = watch_left;
    most_left = 0;
    share(bytes, SIZE);
    assert_true(pair_run(&pair, 5000));
    check_pulled(SH_LEAF_SIZE);
    assert_int_equal(most_left, SH_LEAF_SIZE);
    assert_int_equal(sh_puller_left(pair.puller), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_octet),
        TEST(test_appended),
        TEST(test_cut),
        TEST(test_nothing_the_same),
        TEST(test_old_copy_is_touched),
        TEST(test_old_copy_is_none),
        TEST(test_few_leaves),
        TEST(test_anchor_does_not_know),
        TEST(test_anchor_does_not_answer),
        TEST(test_lost_and_doubled),
        TEST(test_first_pieces),
        TEST(test_hash_is_wrong),
        TEST(test_root_is_wrong),
        TEST(test_cut_off),
        TEST(test_copy_comes_later),
        TEST(test_pieces_of_another_state),
        TEST(test_two_copies),
        TEST(test_link_dies),
        TEST(test_left),
    };
    return cmocka_run_group_tests(tests, make_old, free_old);
}
